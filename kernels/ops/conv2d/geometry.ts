import type { Dims, NumberArray } from "../../devices/device.ts";
import { fieldArguments, type WasmCall } from "../../devices/cpu/wasm_call.ts";

/** How a convolution moves over an image: attributes of its ops. */
export const geometryAttributes = {
  strideH: "u32",
  strideW: "u32",
  paddingH: "u32",
  paddingW: "u32",
  dilationH: "u32",
  dilationW: "u32",
  groups: "u32",
} as const;

/** The numbers behind `geometryAttributes`. */
export type Geometry = { readonly [name in keyof typeof geometryAttributes]: number };

/** A convolution that visits every pixel, with zeros on all sides. */
export const plainGeometry = (padding: number): Geometry => ({
  strideH: 1,
  strideW: 1,
  paddingH: padding,
  paddingW: padding,
  dilationH: 1,
  dilationW: 1,
  groups: 1,
});

/** Whether a convolution visits every pixel of neighbouring rows and columns, in one group of channels. */
export function isPlain({ strideH, strideW, dilationH, dilationW, groups }: Dims): boolean {
  return Math.max(strideH, strideW, dilationH, dilationW, groups) === 1;
}

/** Whether a convolution cuts x[N, C, H, W] into one tile of R x S pixels for every pixel of y[N, K, P, Q]. */
export function isTiling({ H, W, P, Q, R, S, ...dims }: Dims): boolean {
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW, groups } = dims;
  return strideH === R && strideW === S && paddingH === 0 && paddingW === 0 && dilationH === 1 &&
    dilationW === 1 && groups === 1 && H === R * P && W === S * Q;
}

/** Pixels that R taps cover along an axis. */
export const spanOf = (R: number, dilation: number): number => dilation * (R - 1) + 1;

/** Height and width of a convolution's result; less than 1 if the kernel is larger than the padded image. */
export function convolvedSize({ H, W, R, S, ...dims }: Dims): { P: number; Q: number } {
  const { strideH, strideW, paddingH, paddingW, dilationH, dilationW } = dims;
  return {
    P: Math.floor((H + 2 * paddingH - spanOf(R, dilationH)) / strideH) + 1,
    Q: Math.floor((W + 2 * paddingW - spanOf(S, dilationW)) / strideW) + 1,
  };
}

/** The convolution that a transposed one is the transpose of. */
export const swapped = ({ C, H, W, K, P, Q, ...dims }: Dims): Dims => ({
  ...dims,
  C: K,
  H: P,
  W: Q,
  K: C,
  P: H,
  Q: W,
});

/**
 * Visits the terms of a convolution from x[N, C, H, W] by w[K, C / groups, R, S] to y[N, K, P, Q]: the indices of their
 * elements in x, w and y, and the image.
 */
function eachTerm(dims: Dims, term: (x: number, w: number, y: number, n: number) => void): void {
  const { N, C, H, W, K, P, Q, R, S, groups } = dims;
  const D = C / groups;
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const first = Math.floor(k * groups / K) * D;
      for (let at = 0; at < P * Q; at++) {
        const y = (n * K + k) * P * Q + at;
        const top = Math.floor(at / Q) * dims.strideH - dims.paddingH;
        const left = at % Q * dims.strideW - dims.paddingW;
        for (let d = 0; d < D; d++) {
          for (let r = 0; r < R; r++) {
            const h = top + r * dims.dilationH;
            if (h < 0 || h >= H) continue;
            const row = ((n * C + first + d) * H + h) * W;
            const taps = ((k * D + d) * R + r) * S;
            for (let s = 0; s < S; s++) {
              const w = left + s * dims.dilationW;
              if (w >= 0 && w < W) term(row + w, taps + s, y, n);
            }
          }
        }
      }
    }
  }
}

/** y = x convolved with w, or transposed, + start(n, k, index in y). */
export function convolve(
  { x, w, y }: Readonly<Record<"x" | "w" | "y", NumberArray>>,
  dims: Dims,
  start: (n: number, k: number, at: number) => number = () => 0,
): void {
  const { K, P, Q } = dims;
  y.forEach((_, at) => y[at] = start(Math.floor(at / (K * P * Q)), Math.floor(at / (P * Q)) % K, at));
  if (dims.transposed) eachTerm(swapped(dims), (to, tap, from) => y[to] += x[from] * w[tap]);
  else eachTerm(dims, (from, tap, to) => y[to] += x[from] * w[tap]);
}

/** dw of each run of `run` images, [G, K, D, R, S]. */
export function correlate({ x, dy, dw }: Readonly<Record<"x" | "dy" | "dw", NumberArray>>, dims: Dims): void {
  const { K, C, R, S, run, groups } = dims;
  const weights = K * (C / groups) * R * S;
  dw.fill(0);
  eachTerm(dims, (from, tap, at, n) => dw[Math.floor(n / run) * weights + tap] += x[from] * dy[at]);
}

/** Number of parallel parts of a sum over images: the same on every machine, so that results agree. */
function partsOf(run: number): number {
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

/** An axis with the lowest source position that a tap reads, and the number of positions up to the highest. */
function reachOf(axis: Axis) {
  const { target, taps, step, origin, stride, spread } = axis;
  let low = Infinity;
  let high = -Infinity;
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

/** The axes of a convolution from x to y, or of its transpose, as arguments of kernels. */
function axesOf({ H, W, P, Q, R, S, transposed = 0, ...dims }: Dims) {
  const axis = (x: number, y: number, taps: number, stride: number, padding: number, step: number) => {
    const ends = { source: x, target: y, taps };
    return reachOf(
      transposed
        ? { ...ends, step: -step, origin: padding, stride: 1, spread: stride }
        : { ...ends, step, origin: -padding, stride, spread: 1 },
    );
  };
  return {
    ...fieldArguments("vertical", axis(H, P, R, dims.strideH, dims.paddingH, dims.dilationH)),
    ...fieldArguments("horizontal", axis(W, Q, S, dims.strideW, dims.paddingW, dims.dilationW)),
  };
}

const is1x1 = (dims: Dims) =>
  isPlain(dims) && dims.R === 1 && dims.S === 1 && dims.paddingH === 0 && dims.paddingW === 0;

/**
 * Whether Winograd's transforms pay off: for 3x3, and for larger kernels of enough channels. Images must keep their
 * size.
 */
const suitsWinograd = (dims: Dims) => {
  const { R, S, paddingH, paddingW, C, K } = dims, isLarge = R % 2 === 1 && R > 3 && Math.min(C, K) >= 12;
  return isPlain(dims) && R === S && paddingH === R >> 1 && paddingW === R >> 1 && (R === 3 || isLarge);
};
const is2x2 = (dims: Dims) => dims.R === 2 && dims.S === 2 && isTiling(dims);

/** y = x convolved with w, or transposed, plus a bias and a residual if their addresses are not 0. */
export function convolutionCalls(
  { x, w, bias = 0, residual = 0, y }:
    & Readonly<Record<"x" | "w" | "y", number>>
    & Partial<Record<"bias" | "residual", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { N, C, H, W, K, B = 1, D, R, S, groups, transposed } = dims;
  const taps = 4 * R * S;
  // Bytes from the weights of one channel to the next, of x and of y.
  const [strideC, strideK] = transposed ? [taps * D, taps] : [taps, taps * D];
  if (suitsWinograd(dims)) {
    const buffers = { source: x, w, target: y, bias, addend: residual };
    const args = { ...buffers, strideC, strideK, turned: transposed, N, C, H, W, K, B, taps: R };
    return [{ kernel: "winogradWeights", args }, { kernel: "winogradConvolve", args }];
  }
  if (is1x1(dims)) {
    const args = { x, w, bias, addend: residual, y, N, C, pixels: H * W, K, B, wk: strideK, wc: strideC };
    return [{ kernel: "conv1x1", args }];
  }
  if (transposed && B === 1 && !residual && is2x2(swapped(dims))) {
    return [{ kernel: "convTranspose2d", args: { x, w, bias, y, N, C, H, W, K } }];
  }
  if (!transposed && B === 1 && !residual && is2x2(dims)) {
    const args = { dy: x, w, bias, dx: y, N, K: C, C: K, H: dims.P, W: dims.Q };
    return [{ kernel: "convTranspose2dInputGradient", args }];
  }
  const args = {
    source: x,
    w,
    bias,
    addend: residual,
    target: y,
    N,
    B,
    groups,
    C: C / groups,
    K: K / groups,
    strideG: taps * D * (transposed ? C : K) / groups,
    strideK,
    strideC,
    ...axesOf(dims),
  };
  // Enough tasks for some threads.
  const splits = Math.max(
    1,
    Math.min(Math.ceil(8 / (N * groups)), args.K < 4 ? args.K : Math.ceil(args.K / 4)),
  );
  return [{ kernel: "convolveWeights", args }, { kernel: "convolve", args: { ...args, splits } }];
}

/** dw of each run of images. */
export function weightGradientCalls(
  { x, dy, dw }: Readonly<Record<"x" | "dy" | "dw", number>>,
  dims: Dims,
): readonly WasmCall[] {
  const { N, C, H, W, K, P, Q, R, S, D, run, groups, G: runs } = dims;
  const parts = partsOf(run);
  const sum = (n: number): WasmCall => ({ kernel: "sumParts", args: { y: dw, groups: runs, parts, n } });
  if (is1x1(dims) || is2x2(dims)) {
    // The four taps of 2x2 are channels of planes of half the height and width.
    const folded = R - 1;
    const columns = R * S * C;
    const args = { a: dy, b: x, N, M: K, H: P, W: Q, K: columns, groups: runs, run, parts, folded };
    return [{ kernel: "correlateParts", args }, sum(K * columns)];
  }
  if (suitsWinograd(dims)) {
    const tiles = Math.ceil(H / 4) * Math.ceil(W / 4);
    const all = C * (R > 3 ? Math.ceil((R - 1) / 4) : 1) ** 2;
    // Each part has its own C x K sums, which should not outnumber the run x tiles x (C + K) transformed tiles. Larger
    // kernels have so many sums that there must be far fewer parts.
    const most = Math.floor(run * tiles * (1 / all + 1 / K) / (R > 3 ? 4 : 1));
    const args = {
      x,
      dy,
      dw,
      N,
      C,
      H,
      W,
      K,
      taps: R,
      groups: runs,
      run,
      parts: Math.max(1, Math.min(parts, most)),
    };
    return [{ kernel: "winogradGradientParts", args }, { kernel: "winogradGradientSum", args }];
  }
  const args = { x, dy, N, groups, C: D, K: K / groups, runs, run, parts, ...axesOf(dims) };
  return [{ kernel: "convolveGradientParts", args }, sum(K * D * R * S)];
}
