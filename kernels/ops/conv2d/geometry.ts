import type { Dims, NumberArray } from "../../devices/device.ts";

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
        const y = (n * K + k) * P * Q + at, top = Math.floor(at / Q) * dims.strideH - dims.paddingH;
        const left = at % Q * dims.strideW - dims.paddingW;
        for (let d = 0; d < D; d++) {
          for (let r = 0; r < R; r++) {
            const h = top + r * dims.dilationH;
            if (h < 0 || h >= H) continue;
            const row = ((n * C + first + d) * H + h) * W, taps = ((k * D + d) * R + r) * S;
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
export function correlate(
  { x, dy, dw }: Readonly<Record<"x" | "dy" | "dw", NumberArray>>,
  dims: Dims,
): void {
  const { K, C, R, S, run, groups } = dims;
  const weights = K * (C / groups) * R * S;
  dw.fill(0);
  eachTerm(dims, (from, tap, at, n) => dw[Math.floor(n / run) * weights + tap] += x[from] * dy[at]);
}
