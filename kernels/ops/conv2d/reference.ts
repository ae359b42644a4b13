import type { Dims, NumberArray } from "../../devices/device.ts";

/**
 * Visits the terms of a convolution from x[N, C, H, W] by w[K, C / groups, R, S] to y[N, K, P, Q]: the indices of their
 * elements in x, w and y, and the image. Without other dims, it has one group, strides and dilations of 1, and `padding`
 * on all sides.
 */
function eachTerm(dims: Dims, term: (x: number, w: number, y: number, n: number) => void): void {
  const { N, C, H, W, K, P, Q, R, S, padding, groups = 1, strideH = 1, strideW = 1 } = dims;
  const { paddingH = padding, paddingW = padding, dilationH = 1, dilationW = 1 } = dims;
  const D = C / groups;
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const first = Math.floor(k * groups / K) * D;
      for (let at = 0; at < P * Q; at++) {
        const y = (n * K + k) * P * Q + at, top = Math.floor(at / Q) * strideH - paddingH;
        const left = at % Q * strideW - paddingW;
        for (let d = 0; d < D; d++) {
          for (let r = 0; r < R; r++) {
            const h = top + r * dilationH;
            if (h < 0 || h >= H) continue;
            const row = ((n * C + first + d) * H + h) * W, taps = ((k * D + d) * R + r) * S;
            for (let s = 0; s < S; s++) {
              const w = left + s * dilationW;
              if (w >= 0 && w < W) term(row + w, taps + s, y, n);
            }
          }
        }
      }
    }
  }
}

/** y = x convolved with w, + start(n, k, index in y). */
export function convolve(
  x: NumberArray,
  w: NumberArray,
  y: NumberArray,
  dims: Dims,
  start: (n: number, k: number, at: number) => number,
): void {
  const { K, P, Q } = dims;
  y.forEach((_, at) => y[at] = start(Math.floor(at / (K * P * Q)), Math.floor(at / (P * Q)) % K, at));
  eachTerm(dims, (from, tap, to) => y[to] += x[from] * w[tap]);
}

/** dx, + start(index of its channel): the transpose of the convolution of x, on dy. */
export function convolveTransposed(
  dy: NumberArray,
  w: NumberArray,
  dx: NumberArray,
  dims: Dims,
  start: (c: number) => number = () => 0,
): void {
  const { C, H, W } = dims;
  dx.forEach((_, at) => dx[at] = start(Math.floor(at / (H * W)) % C));
  eachTerm(dims, (to, tap, from) => dx[to] += dy[from] * w[tap]);
}

/** dw of each run of `run` images, [G, K, D, R, S]. */
export function correlate(x: NumberArray, dy: NumberArray, dw: NumberArray, dims: Dims): void {
  const { K, C, R, S, run, groups = 1 } = dims;
  const weights = K * (C / groups) * R * S;
  dw.fill(0);
  eachTerm(dims, (from, tap, at, n) => dw[Math.floor(n / run) * weights + tap] += x[from] * dy[at]);
}
