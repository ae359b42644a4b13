import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims } from "../../devices/device.ts";
import { generalCalls, generalWeightGradientCalls, partsOf, transposedCalls } from "./general_wasm.ts";

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
