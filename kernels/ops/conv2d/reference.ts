import { swapped } from "./geometry.ts";
import type { Dims, NumberArray } from "../../devices/device.ts";

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
