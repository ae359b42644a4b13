import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims } from "../../devices/device.ts";

/** Number of parallel parts of a sum over images: the same on every machine, so that results agree. */
function partsOf(run: number): number {
  return Math.min(8, run);
}

/**
 * Sums over images and pixels of a[n][m][pixel] b[n][k][pixel] for groups of `run` images each, to y[group][m][k].
 *
 * @param folded whether the channels of b are the four taps of planes of twice the height and width
 */
export function correlation(
  [a, b, y]: readonly [a: number, b: number, y: number],
  dims: Readonly<Record<"N" | "M" | "H" | "W" | "K" | "groups" | "run" | "folded", number>>,
): readonly WasmCall[] {
  const { groups, run, M, K } = dims;
  const parts = partsOf(run);
  return [
    { kernel: "correlateParts", args: { a, b, ...dims, parts } },
    { kernel: "sumParts", args: { y, groups, parts, n: M * K } },
  ];
}

/** Addresses of a convolution's buffers, 0 for an absent one; strides of the weights in bytes, and 1 to rotate them. */
type Convolution = Readonly<
  Record<"source" | "w" | "target" | "bias" | "addend" | "strideC" | "strideK" | "turned", number>
>;

const is3x3 = ({ R, S, padding }: Dims) => R === 3 && S === 3 && padding === 1;
const is1x1 = ({ R, S, padding }: Dims) => R === 1 && S === 1 && padding === 0;

/** Convolution of [N, C, H, W] to [N, K, H, W], if it is 3x3, by Winograd, or 1x1, as a product. */
function fastConvolution(given: Convolution, dims: Dims): readonly WasmCall[] | undefined {
  const { source, w, target, bias, addend, strideC, strideK, turned } = given;
  const { N, C, H, W, K, B } = dims;
  if (is3x3(dims)) {
    return [
      { kernel: "winogradWeights", args: { w, strideC, strideK, turned, C, K } },
      { kernel: "winogradConvolve", args: { ...given, N, C, H, W, K, B } },
    ];
  }
  if (!is1x1(dims)) return undefined;
  const args = { x: source, w, bias, addend, y: target, N, C, pixels: H * W, K, B, wk: strideK, wc: strideC };
  return [{ kernel: "conv1x1", args }];
}

/** y = x * w + bias, plus a residual if its address is not 0. */
export function forwardCalls(
  { x, w, bias, residual, y }: Readonly<Record<"x" | "w" | "bias" | "residual" | "y", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const taps = 4 * dims.R * dims.S;
  const strides = { strideC: taps, strideK: taps * dims.C, turned: 0 };
  return fastConvolution({ source: x, w, target: y, bias, addend: residual, ...strides }, dims) ??
    generalCalls({ x, w, bias, residual, y }, { ...dims, D: dims.C, groups: 1 });
}

/** dx: a convolution of dy with the rotated weights, from K channels to C. */
export function inputGradientCalls(
  { dy, w, dx }: Readonly<Record<"dy" | "w" | "dx", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { C, K, R, S } = dims, taps = 4 * R * S;
  const strides = { strideC: taps * C, strideK: taps, turned: 1 };
  const swapped = { ...dims, C: K, K: C, B: 1 };
  return fastConvolution({ source: dy, w, target: dx, bias: 0, addend: 0, ...strides }, swapped) ??
    transposedCalls({ y: dy, w, bias: 0, x: dx }, { ...dims, D: C, groups: 1 });
}

/** dw of each group of `run` images. */
export function weightGradientCalls(
  { x, dy, dw }: Readonly<Record<"x" | "dy" | "dw", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { N, C, H, W, K, run, G: groups } = dims;
  if (is1x1(dims)) return correlation([dy, x, dw], { N, M: K, H, W, K: C, groups, run, folded: 0 });
  if (!is3x3(dims)) return generalWeightGradientCalls({ x, dy, dw }, { ...dims, groups: 1 });
  const tiles = Math.ceil(H / 4) * Math.ceil(W / 4);
  // Each part has its own C x K sums, which should not outnumber the run x tiles x (C + K) transformed tiles.
  const parts = Math.max(1, Math.min(partsOf(run), Math.floor(run * tiles * (1 / C + 1 / K))));
  return [
    { kernel: "winogradGradientParts", args: { x, dy, N, C, H, W, K, groups, run, parts } },
    { kernel: "winogradGradientSum", args: { dw, C, K, groups, parts, x, dy, N, H, W, run } },
  ];
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

/** The lowest source position that a tap reads, and the number of positions up to the highest. */
function reachOf({ target, taps, step, origin, stride, spread }: Axis): { low: number; length: number } {
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
  return low <= high ? { low, length: high - low + 1 } : { low: 0, length: 0 };
}

/** The arguments of the kernels for any convolution that describe its axes. */
function axesOf(vertical: Axis, horizontal: Axis) {
  const [v, h] = [reachOf(vertical), reachOf(horizontal)];
  return {
    sourceV: vertical.source,
    targetV: vertical.target,
    tapsV: vertical.taps,
    stepV: vertical.step,
    originV: vertical.origin,
    strideV: vertical.stride,
    spreadV: vertical.spread,
    lowV: v.low,
    lengthV: v.length,
    sourceH: horizontal.source,
    targetH: horizontal.target,
    tapsH: horizontal.taps,
    stepH: horizontal.step,
    originH: horizontal.origin,
    strideH: horizontal.stride,
    spreadH: horizontal.spread,
    lowH: h.low,
    lengthH: h.length,
  };
}

/** The axes of a convolution from x to y; plain ones have `padding` alone. */
function forwardAxes({ H, W, P, Q, R, S, padding, ...dims }: Dims) {
  const { paddingH = padding, paddingW = padding, strideH = 1, strideW = 1, dilationH = 1, dilationW = 1 } =
    dims;
  return axesOf(
    { source: H, target: P, taps: R, step: dilationH, origin: -paddingH, stride: strideH, spread: 1 },
    { source: W, target: Q, taps: S, step: dilationW, origin: -paddingW, stride: strideW, spread: 1 },
  );
}

/** The axes of its transpose, from y to x. */
function transposedAxes({ H, W, P, Q, R, S, padding, ...dims }: Dims) {
  const { paddingH = padding, paddingW = padding, strideH = 1, strideW = 1, dilationH = 1, dilationW = 1 } =
    dims;
  return axesOf(
    { source: P, target: H, taps: R, step: -dilationH, origin: paddingH, stride: 1, spread: strideH },
    { source: Q, target: W, taps: S, step: -dilationW, origin: paddingW, stride: 1, spread: strideW },
  );
}

/** Addresses of the source, weights, bias, addend and target, 0 for an absent one. */
type Buffers = Readonly<Record<"source" | "w" | "bias" | "addend" | "target", number>>;

/**
 * A convolution of any kind: of N images and `groups` groups of C channels to K each.
 *
 * @param strides of the weights in bytes, from group to group, and from channel to channel of the target and the source
 */
function anyConvolution(
  { w, ...buffers }: Buffers,
  strides: Readonly<Record<"strideG" | "strideK" | "strideC", number>>,
  { N, B, groups, C, K }: Dims,
  axes: ReturnType<typeof axesOf>,
): readonly WasmCall[] {
  const sizes = { groups, C, K, ...axes };
  // Enough tasks for some threads; the weights of four channels are packed together.
  const splits = Math.max(1, Math.min(Math.ceil(8 / (N * groups)), K < 4 ? K : Math.ceil(K / 4)));
  return [
    { kernel: "convolveWeights", args: { w, ...strides, ...sizes } },
    { kernel: "convolve", args: { ...buffers, N, B, splits, ...sizes } },
  ];
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
    forwardAxes(dims),
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
    transposedAxes(dims),
  );
}

/** dw of each run of a convolution of any kind. */
export function generalWeightGradientCalls(
  { x, dy, dw }: Readonly<Record<"x" | "dy" | "dw", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { N, C, K, R, S, G: runs, run, groups } = dims, parts = partsOf(run), D = C / groups;
  const args = { x, dy, N, groups, C: D, K: K / groups, runs, run, parts, ...forwardAxes(dims) };
  return [
    { kernel: "convolveGradientParts", args },
    { kernel: "sumParts", args: { y: dw, groups: runs, parts, n: K * D * R * S } },
  ];
}
