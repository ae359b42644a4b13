import type { Device } from "../../../kernels/mod.ts";
import type { Case } from "../networks.ts";

/** What varies in a table, one thing at a time. */
export const axes = ["preset", "batch", "width", "size", "threads"] as const;
export type Axis = typeof axes[number];

/** The kinds of devices that are measured. */
export type Kind = Device["kind"];

/** A case that is measured. */
export interface Row {
  readonly axis: Axis;
  /** What this row has of what varies, e.g. `64 images`. */
  readonly label: string;
  /** How many times what the middle row has; the middle row is the same network in all tables. Undefined for presets. */
  readonly times?: number;
  /** Threads of the CPU device; by default one a core. */
  readonly threads?: number;
  /** A preset's own settings, or a network on images of a size. */
  readonly work:
    | { readonly preset: "quick" | "standard" | "paper"; readonly batchSize?: number }
    | { readonly network: Case; readonly imageSize: number };
}

/** The network that all tables but that of presets share. */
function middle(model: Case["model"]): Case {
  return { model, filters: [16, 32, 64], tEmb: 64, batchSize: 32 };
}
const middleSize = 28;

/**
 * The rows of a device, table by table.
 *
 * @param software whether the device computes on processors
 * @param cores of the machine
 */
export function rowsOf(
  { kind, software }: { readonly kind: Kind; readonly software: boolean },
  model: Case["model"],
  cores: number,
): Row[] {
  const network = middle(model);
  const at = (
    axis: Axis,
    label: string,
    times: number,
    change: Partial<Case>,
    imageSize = middleSize,
  ): Row => {
    return { axis, label, times, work: { network: { ...network, ...change }, imageSize } };
  };
  // A software adapter takes minutes for a step of 256 images.
  const few = kind === "webgpu" && software ? { batchSize: 1 } : {};
  return [
    { axis: "preset", label: "quick", work: { preset: "quick" } },
    { axis: "preset", label: "standard", work: { preset: "standard" } },
    { axis: "preset", label: "paper", work: { preset: "paper", ...few } },
    ...[8, 16, 32, 64, 128, 256].map((batchSize) =>
      at("batch", `${batchSize} images`, batchSize / network.batchSize, { batchSize })
    ),
    ...[[8, 16, 32], [16, 32, 64], [32, 64, 128], [64, 128, 256]].map((filters) =>
      at("width", `[${filters}]`, filters[0] / network.filters[0], { filters })
    ),
    ...[14, 28, 56, 112].map((size) => at("size", `${size} x ${size}`, size / middleSize, {}, size)),
    ...kind === "cpu"
      ? threadCounts(cores).map((threads) => ({
        ...at("threads", `${threads} thread${threads > 1 ? "s" : ""}`, threads, {}),
        threads,
      }))
      : [],
  ];
}

/** Powers of two up to the number of cores, and that number. */
export function threadCounts(cores: number): number[] {
  const most = Math.min(cores, 64); // as many as the device takes
  const powers = Array.from({ length: 6 }, (_, i) => 2 ** i).filter((threads) => threads < most);
  return [...powers, most];
}
