import type { Dims, NumberArray } from "../../devices/device.ts";

/**
 * Target[n, k, p, q] = sum over c, r, s of source[n, c, p + r - padding, q + s - padding] w(k, c, r, s)
 * + start(n, k, at).
 */
export function convolve(
  source: NumberArray,
  target: NumberArray,
  { N, C, H, W, K, P, Q, R, S, padding }: Dims,
  weight: (k: number, c: number, r: number, s: number) => number,
  start: (n: number, k: number, at: number) => number,
): void {
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          const at = ((n * K + k) * P + p) * Q + q;
          let total = start(n, k, at);
          for (let c = 0; c < C; c++) {
            for (let r = 0; r < R; r++) {
              const h = p + r - padding;
              if (h < 0 || h >= H) continue;
              for (let s = 0; s < S; s++) {
                const w = q + s - padding;
                if (w >= 0 && w < W) total += source[((n * C + c) * H + h) * W + w] * weight(k, c, r, s);
              }
            }
          }
          target[at] = total;
        }
      }
    }
  }
}
