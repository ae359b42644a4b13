import type { Device } from "../../../kernels/mod.ts";
import type { Case } from "../networks.ts";

/** Quantities to vary, one per table. */
export const axes = ["preset", "batch", "width", "size", "threads"] as const;
export type Axis = typeof axes[number];

/** Kinds of devices to measure. */
export type Kind = Device["kind"];

/** A case to measure. */
export interface Row {
  readonly axis: Axis;
  /** The varied value, e.g. `64 images`. */
  readonly label: string;
  /** The varied value as a multiple of the middle row's, the same network in all tables; undefined for presets. */
  readonly times?: number;
  /** Threads of the CPU device, by default one per core. */
  readonly threads?: number;
  /** A preset's own settings, or a network on images of a size. */
  readonly work:
    | { readonly preset: "quick" | "standard" | "paper"; readonly batchSize?: number }
    | { readonly network: Case; readonly imageSize: number };
}

/** The network of all tables except the presets'. */
function middle(model: Case["model"]): Case {
  return { model, filters: [16, 32, 64], tEmb: 64, batchSize: 32 };
}
const middleSize = 28;

/**
 * The rows of a device, table by table.
 *
 * @param software whether the device computes on processors
 * @param cores number of cores of the machine
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
  // A step of 256 images takes minutes on a software adapter.
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
  const most = Math.min(cores, 64); // the most that the device supports
  const powers = Array.from({ length: 6 }, (_, i) => 2 ** i).filter((threads) => threads < most);
  return [...powers, most];
}
