import { figure, type Trace } from "../../../viz/mod.ts";
import type { Point } from "./measure.ts";
import type { Axis, Kind } from "./rows.ts";
import type { Scaling } from "./table.ts";

const panels: Readonly<Partial<Record<Axis, string>>> = {
  batch: "batch",
  width: "width",
  size: "image size",
  threads: "threads",
};

/**
 * Plots time and planned memory of a step, a panel per varied quantity, as multiples of the middle row on logarithmic
 * axes.
 *
 * @returns SVG
 * @throws {RangeError} if there are no measurements to plot
 */
export function picture(scaling: Scaling): string {
  const { points, devices } = scaling;
  const kinds = Object.keys(devices) as Kind[];
  const traces = (axis: Axis): Trace[] => [
    ...kinds.map((kind) => ({
      ...multiples(points.filter((point) => point.axis === axis && point.device === kind), "milliseconds"),
      name: kind === "cpu" ? "time, CPU" : "time, WebGPU",
    })),
    {
      ...multiples(
        points.filter((point) => point.axis === axis && point.device === kinds[0]),
        "plannedBytes",
      ),
      name: "memory",
    },
  ];
  const frames = Object.entries(panels)
    .filter(([axis]) => points.some((point) => point.axis === axis))
    .map(([axis, label], i, shown) => {
      const all = traces(axis as Axis);
      // Only the last panel has a legend, where threads leave room for it.
      return { label, traces: i === shown.length - 1 ? all : all.map(({ x, y }) => ({ x, y })) };
    });
  return figure([], {
    title: finding(scaling) ?? "A training step",
    xTitle: "times [16,32,64] with 32 images of 28 x 28",
    yTitle: "times the step",
    xLog: 2,
    yLog: 2,
    width: 900,
  }, frames).svg;
}

/**
 * What costs the most and the least time when doubled, on the first device; undefined with fewer than two to compare.
 */
export function finding({ points, devices }: Scaling): string | undefined {
  const [kind] = Object.keys(devices);
  const factors = (["batch", "width", "size"] as const).flatMap((axis) => {
    const own = points.filter((point) => point.axis === axis && point.device === kind)
      .toSorted((a, b) => (a.times ?? 0) - (b.times ?? 0));
    if (own.length < 2) return [];
    const [first, last] = [own[0], own.at(-1)!];
    const doublings = Math.log2(last.times! / first.times!);
    return [{ name: panels[axis]!, factor: (last.milliseconds / first.milliseconds) ** (1 / doublings) }];
  }).sort((a, b) => b.factor - a.factor);
  if (factors.length < 2) return undefined;
  const [most, least] = [factors[0], factors.at(-1)!].map(({ name, factor }) =>
    `twice the ${name} takes ${factor.toFixed(1)} times as long`
  );
  return `T${most.slice(1)}, ${least.replace("takes ", "").replace(" as long", "")}`;
}

/** A measurement as multiples of the middle row's, which has `times` 1. */
function multiples(points: readonly Point[], name: "milliseconds" | "plannedBytes"): Pick<Trace, "x" | "y"> {
  const sorted = points.toSorted((a, b) => (a.times ?? 0) - (b.times ?? 0));
  const middle = points.find(({ times }) => times === 1)?.[name] ?? NaN;
  return { x: sorted.map(({ times }) => times ?? NaN), y: sorted.map((point) => point[name] / middle) };
}
