import type { Point } from "./measure.ts";
import { axes, type Axis, type Kind } from "./rows.ts";

/** Measurements with their machine. */
export interface Scaling {
  readonly model: string;
  /** Descriptions of the devices. */
  readonly devices: Readonly<Partial<Record<Kind, string>>>;
  readonly points: readonly Point[];
  /** Rows skipped for lack of time, e.g. `webgpu: paper`. */
  readonly leftOut: readonly string[];
}

const headings: Readonly<Record<Axis, string>> = {
  preset: "The presets",
  batch: "Batch",
  width: "Width",
  size: "Image size",
  threads: "Threads",
};

const deviceNames: Readonly<Record<Kind, string>> = { cpu: "CPU", webgpu: "WebGPU" };

/** The tables of all axes, as Markdown. */
export function tables({ devices, points, leftOut }: Scaling): string {
  const machines = Object.entries(devices).map(([kind, description]) =>
    `- ${deviceNames[kind as Kind]}: ${description}`
  );
  const parts = axes.map((axis) => points.filter((point) => point.axis === axis))
    .filter((found) => found.length > 0)
    .map((found) => `### ${headings[found[0].axis]}\n\n${table(found)}`);
  const rest = leftOut.length > 0 ? [`Not measured, for lack of time: ${leftOut.join(", ")}.`] : [];
  return [machines.join("\n"), ...parts, ...rest].join("\n\n");
}

/** A row per label, with the measurements of all devices side by side. */
function table(points: readonly Point[]): string {
  const kinds = [...new Set(points.map(({ device }) => device))];
  const measures = ["step", "images/s", "planned", "device memory"];
  const head = [
    "",
    "images in a step",
    ...kinds.flatMap((kind) => measures.map((measure) => `${deviceNames[kind]}: ${measure}`)),
  ];
  const labels = [...new Set(points.map(({ label }) => label))];
  const rows = labels.map((label) => {
    const ofKinds = kinds.map((kind) =>
      points.find((point) => point.label === label && point.device === kind)
    );
    const batches = new Set(ofKinds.flatMap((point) => point?.batchSize ?? []));
    return [
      label,
      [...batches].join(" and "),
      ...ofKinds.flatMap((point) => point ? measured(point) : ["", "", "", ""]),
    ];
  });
  const widths = head.map((_, i) => Math.max(3, ...[head, ...rows].map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function measured({ milliseconds, imagesPerSecond, plannedBytes, deviceBytes }: Point): string[] {
  const memory = [plannedBytes, deviceBytes].map((bytes) => `${shown(bytes / 2 ** 20)} MiB`);
  return [`${shown(milliseconds)} ms`, shown(imagesPerSecond), ...memory];
}

/** Three significant digits, or all digits before the point. */
function shown(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return Number(value.toFixed(Math.min(digits, 3))).toLocaleString("en", { maximumFractionDigits: 3 });
}

const [start, end] = ["<!-- measured by tests/bench/scaling.ts -->", "<!-- end of what was measured -->"];

/**
 * Replaces the tables between the two marks of a page.
 *
 * @throws {RangeError} if the page lacks the marks
 */
export function withTables(page: string, scaling: Scaling): string {
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) {
    throw new RangeError(`Cannot write the tables: the page has no lines ${start} and ${end}, in this order`);
  }
  return `${page.slice(0, from)}${start}\n\n${tables(scaling)}\n\n${page.slice(to)}`;
}
