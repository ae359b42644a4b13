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

/**
 * An axis without stride, as if repeated every `length` positions, at least as long as the kernel, with the zeros between
 * that its taps need. The taps of a transpose, whose step is below 0, are counted from the last one.
 */
function repeated(axis: Axis): CallAxis {
  const { source, target, taps, step, origin } = axis;
  const reach = Math.abs(step) * (taps - 1), first = step < 0 ? origin - reach : origin;
  const length = Math.max(source, source - first, target, target + first + reach, reach + 1);
  return { ...axis, origin: first, low: 0, length };
}

/** Longest axis for Fourier transforms, which need a cache. */
const longestAxis = 128;

/**
 * The arguments of kernels by Fourier transforms that describe the axes; undefined if direct ones need less arithmetic:
 * transforms cost time per channel, and save most of the taps of each pair of channels.
 */
function fourierAxes({ N, C, K, groups }: Dims, axes: Axes) {
  const [vertical, horizontal] = axes;
  const isStrided = axes.some(({ stride, spread }) => stride > 1 || spread > 1);
  const [v, h] = axes.map(repeated);
  if (isStrided || groups > 1 || Math.max(v.length, h.length) > longestAxis) return undefined;
  const columns = (h.length >> 1) + 1, roundUp = (count: number, to: number) => Math.ceil(count / to) * to;
  const pairs = roundUp(C, 4) * roundUp(K, 8), planes = roundUp(C, 4) + roundUp(K, 4);
  // Multiply-adds of products, and of transforms, whose time per element grows with both axes.
  const transformed = v.length * columns * (4 * pairs + (15 + v.length + h.length) * (planes + pairs / N));
  const taps = vertical.taps * horizontal.taps;
  const direct = taps * C * roundUp(K, 4) * vertical.target * roundUp(horizontal.target, 4);
  if (transformed > direct) return undefined;
  return argumentsOf([v, h]);
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
  const common = { ...buffers, ...strides, N, B, groups, C, K }, fourier = fourierAxes(common, axes);
  if (fourier) {
    const args = { ...common, ...fourier };
    return [{ kernel: "fourierWeights", args }, { kernel: "fourierConvolve", args }];
  }
  // Enough tasks for some threads; the weights of four channels are packed together.
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
  const axes = axesOf(dims).forward, fourier = fourierAxes({ N: run, C, K, groups }, axes);
  if (fourier) {
    // Each part has its own C x K sums, which should not outnumber the run x (C + K) transformed images.
    const parts = Math.max(1, Math.min(partsOf(run), Math.floor(run * (1 / C + 1 / K))));
    const args = { x, dy, dw, N, C, K, runs, run, parts, ...fourier };
    return [{ kernel: "fourierGradientParts", args }, { kernel: "fourierGradientSum", args }];
  }
  const parts = partsOf(run);
  const args = { x, dy, N, groups, C, K, runs, run, parts, ...argumentsOf(axes.map(reachOf)) };
  return [
    { kernel: "convolveGradientParts", args },
    { kernel: "sumParts", args: { y: dw, groups: runs, parts, n: groups * K * C * R * S } },
  ];
}
