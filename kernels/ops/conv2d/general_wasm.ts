import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims } from "../../devices/device.ts";

/** Number of parallel parts of a sum over images: the same on every machine, so that results agree. */
export function partsOf(run: number): number {
  return Math.min(8, run);
}

/**
 * An axis of a convolution: target position p = phase + spread i reads source position stride i + (phase + origin + step
 * r) / spread for each of its taps r for which that is whole.
 */
interface Axis {
  readonly source: number;
  readonly target: number;
  readonly taps: number;
  readonly step: number;
  readonly origin: number;
  readonly stride: number;
  readonly spread: number;
}

/** An axis as calls hold it. */
interface CallAxis extends Axis {
  readonly low: number;
  readonly length: number;
}

/** An axis with the lowest source position that a tap reads, and the number of positions up to the highest. */
function reachOf(axis: Axis): CallAxis {
  const { target, taps, step, origin, stride, spread } = axis;
  let low = Infinity, high = -Infinity;
  for (let phase = 0; phase < Math.min(spread, target); phase++) {
    const last = (Math.ceil((target - phase) / spread) - 1) * stride;
    for (let r = 0; r < taps; r++) {
      const first = (phase + origin + step * r) / spread;
      if (!Number.isInteger(first)) continue;
      low = Math.min(low, first);
      high = Math.max(high, first + last);
    }
  }
  return low <= high ? { ...axis, low, length: high - low + 1 } : { ...axis, low: 0, length: 0 };
}

/** Both axes of a convolution, the vertical one first. */
type Axes = readonly [vertical: Axis, horizontal: Axis];

/** The axes as arguments of kernels. */
function argumentsOf([vertical, horizontal]: readonly CallAxis[]) {
  const named = <Name extends string>(name: Name, axis: CallAxis) =>
    Object.fromEntries(Object.entries(axis).map(([field, value]) => [`${name}.${field}`, value])) as Readonly<
      Record<`${Name}.${keyof CallAxis}`, number>
    >;
  return { ...named("vertical", vertical), ...named("horizontal", horizontal) };
}

/** The axes of a convolution from x to y, and those of its transpose, from y to x; plain ones have `padding` alone. */
function axesOf(
  { H, W, P, Q, R, S, padding, ...dims }: Dims,
): { readonly forward: Axes; readonly transposed: Axes } {
  const { paddingH = padding, paddingW = padding, strideH = 1, strideW = 1, dilationH = 1, dilationW = 1 } =
    dims;
  const forward = (x: number, y: number, taps: number, stride: number, pad: number, step: number): Axis => ({
    ...{ source: x, target: y, taps, step, origin: -pad, stride, spread: 1 },
  });
  const [v, h] = [
    forward(H, P, R, strideH, paddingH, dilationH),
    forward(W, Q, S, strideW, paddingW, dilationW),
  ];
  const transposed = ({ source, target, taps, step, origin, stride }: Axis): Axis => ({
    ...{ source: target, target: source, taps, step: -step, origin: -origin, stride: 1, spread: stride },
  });
  return { forward: [v, h], transposed: [transposed(v), transposed(h)] };
}

/** Addresses of the source, weights, bias, addend and target, 0 for an absent one. */
type Buffers = Readonly<Record<"source" | "w" | "bias" | "addend" | "target", number>>;

/**
 * A convolution of any kind: of N images and `groups` groups of C channels to K each.
 *
 * @param strides of the weights in bytes, from group to group, and from channel to channel of the target and the source
 */
function anyConvolution(
  buffers: Buffers,
  strides: Readonly<Record<"strideG" | "strideK" | "strideC", number>>,
  { N, B, groups, C, K }: Dims,
  axes: Axes,
): readonly WasmCall[] {
  const common = { ...buffers, ...strides, N, B, groups, C, K };
  // Enough tasks for some threads.
  const splits = Math.max(1, Math.min(Math.ceil(8 / (N * groups)), K < 4 ? K : Math.ceil(K / 4)));
  const args = { ...common, splits, ...argumentsOf(axes.map(reachOf)) };
  return [{ kernel: "convolveWeights", args }, { kernel: "convolve", args }];
}

/** y of a convolution of any kind, plus a residual if its address is given and not 0. */
export function generalCalls(
  { x, w, bias, residual = 0, y }: Readonly<Record<"x" | "w" | "bias" | "y", number>> & { residual?: number },
  dims: Dims,
): readonly WasmCall[] {
  const { D, K, R, S, groups } = dims, taps = 4 * R * S, inGroup = K / groups;
  return anyConvolution(
    { source: x, w, bias, addend: residual, target: y },
    { strideG: taps * D * inGroup, strideK: taps * D, strideC: taps },
    { ...dims, C: D, K: inGroup },
    axesOf(dims).forward,
  );
}

/** x of the transpose of a convolution of any kind. */
export function transposedCalls(
  { y, w, bias, x }: Readonly<Record<"y" | "w" | "bias" | "x", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { D, K, R, S, groups } = dims, taps = 4 * R * S, inGroup = K / groups;
  return anyConvolution(
    { source: y, w, bias, addend: 0, target: x },
    { strideG: taps * D * inGroup, strideK: taps, strideC: taps * D },
    { ...dims, B: 1, C: inGroup, K: D },
    axesOf(dims).transposed,
  );
}

/** dw of each run of a convolution of any kind. */
export function generalWeightGradientCalls(
  { x, dy, dw }: Readonly<Record<"x" | "dy" | "dw", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { N, R, S, G: runs, run, groups } = dims, C = dims.C / groups, K = dims.K / groups;
  const axes = axesOf(dims).forward;
  const parts = partsOf(run);
  const args = { x, dy, N, groups, C, K, runs, run, parts, ...argumentsOf(axes.map(reachOf)) };
  return [
    { kernel: "convolveGradientParts", args },
    { kernel: "sumParts", args: { y: dw, groups: runs, parts, n: groups * K * C * R * S } },
  ];
}
