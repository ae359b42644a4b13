import type { Dims, NumberArray } from "../../devices/device.ts";

/** Index of a weight in w[K, C, R, S]. */
export const weightAt = ({ C, R, S }: Dims) => (k: number, c: number, r: number, s: number): number =>
  ((k * C + c) * R + r) * S + s;

/** Target = the sum over c, r, s of source[n, c, p + r - padding, q + s - padding] w(k, c, r, s), + start(n, k, at). */
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

/** dx: dy[N, K, P, Q] convolved with the weights rotated by 180 degrees and in and out channels swapped. */
export function convolveTurned(dy: NumberArray, w: NumberArray, dx: NumberArray, dims: Dims): void {
  const { C, H, W, K, P, Q, R, S, turned } = dims;
  const swapped = { ...dims, C: K, H: P, W: Q, K: C, P: H, Q: W, padding: turned };
  const at = weightAt(dims);
  convolve(dy, dx, swapped, (k, c, r, s) => w[at(c, k, R - 1 - r, S - 1 - s)], () => 0);
}

/** dw[g] = the sum over the images of a run, and over p, q, of dy[n, k, p, q] x[n, c, p + r - padding, q + s - padding]. */
export function correlate(x: NumberArray, dy: NumberArray, dw: NumberArray, dims: Dims): void {
  const { N, C, H, W, K, P, Q, R, S, padding, run } = dims;
  const at = weightAt(dims);
  dw.fill(0);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      for (let c = 0; c < C; c++) {
        for (let r = 0; r < R; r++) {
          for (let s = 0; s < S; s++) {
            let total = 0;
            for (let p = Math.max(0, padding - r); p < Math.min(P, H + padding - r); p++) {
              for (let q = Math.max(0, padding - s); q < Math.min(Q, W + padding - s); q++) {
                total += dy[((n * K + k) * P + p) * Q + q] *
                  x[((n * C + c) * H + p + r - padding) * W + q + s - padding];
              }
            }
            dw[at(Math.floor(n / run) * K + k, c, r, s)] += total;
          }
        }
      }
    }
  }
}
