import { defineOp } from "../../../op.ts";
import { repeatLines } from "../../matmul/product.ts";
import { bothSides, inTwoDimensions, pixelOf, stepsWgsl, transposed, weightMatrix } from "./transforms.ts";

/**
 * dw[g] = G' du[g] G, the weight gradient of a group of images. If x or dy of any image is uneven, or a result is not
 * finite, it is computed tap by tap instead, because the transforms overflow earlier.
 */
export const weightTarget = defineOp({
  name: "winogradWeightTarget",
  signature:
    "du[G, 36, K, C], x[N, C, H, W], dy[N, K, P, Q], unevenX:u32[N], unevenDy:u32[N] -> dw[G, K, C, 3, 3]",
  attributes: { padding: "u32", run: "u32" },
  invocations: ({ G, K, C }) => G * K * C,
  wgsl: `${stepsWgsl}
fn kernel(i: u32) {
  let c = i % dims.C;
  let k = i / dims.C % dims.K;
  let first = i / (dims.C * dims.K) * dims.run;
  let last = min(first + dims.run, dims.N);
  let stride = dims.K * dims.C;
  let base = i / stride * 36u * stride + k * dims.C + c;
${inTwoDimensions("weightGradientStep", (r, s) => `du[base + ${6 * r + s}u * stride]`)}
  var isExact = true;
${
    repeatLines(9, (tap) =>
      `  dw[i * 9u + ${tap}u] = row_${Math.floor(tap / 3)}[${tap % 3}];
  isExact = isExact && (bitcast<u32>(row_${Math.floor(tap / 3)}[${tap % 3}]) & 0x7fffffffu) < 0x7f800000u;`)
  }
  for (var n = first; n < last; n++) { isExact = isExact && unevenX[n] == 0u && unevenDy[n] == 0u; }
  for (var tap = 0u; tap < select(9u, 0u, isExact); tap++) {
    var total = 0.0;
    for (var n = first; n < last; n++) {
      for (var p = 0u; p < dims.P; p++) {
        let h = p + tap / 3u - dims.padding;
        let isInside = h < dims.H;
        var part = 0.0;
        for (var q = 0u; q < select(0u, dims.Q, isInside); q++) {
          let w = q + tap % 3u - dims.padding;
          if (w < dims.W) {
            part += dy[((n * dims.K + k) * dims.P + p) * dims.Q + q] * x[((n * dims.C + c) * dims.H + h) * dims.W + w];
          }
        }
        total += part;
      }
    }
    dw[i * 9u + tap] = total;
  }
}`,
  reference({ du, x, dy, unevenX, unevenDy, dw }, { G, N, K, C, H, W, P, Q, padding, run }) {
    for (let g = 0; g < G; g++) {
      const images = Array.from({ length: Math.min(run, N - g * run) }, (_, i) => g * run + i);
      for (let k = 0; k < K; k++) {
        for (let c = 0; c < C; c++) {
          const made = bothSides(
            transposed(weightMatrix),
            (i, j) => du[((g * 36 + 6 * i + j) * K + k) * C + c],
          );
          const isExact = made.every(Number.isFinite) &&
            images.every((n) => unevenX[n] === 0 && unevenDy[n] === 0);
          made.forEach((value, tap) => {
            let total = 0;
            for (const n of isExact ? [] : images) {
              const pixel = pixelOf(x, (n * C + c) * H * W, H, W);
              for (let p = 0; p < P; p++) {
                for (let q = 0; q < Q; q++) {
                  const [h, w] = [p + Math.floor(tap / 3) - padding, q + tap % 3 - padding];
                  const inside = h >= 0 && h < H && w >= 0 && w < W;
                  if (inside) total += dy[((n * K + k) * P + p) * Q + q] * pixel(h, w);
                }
              }
            }
            dw[((g * K + k) * C + c) * 9 + tap] = isExact ? value : total;
          });
        }
      }
    }
  },
  samples: [
    {
      shapes: {
        du: [2, 36, 2, 3],
        x: [3, 3, 4, 5],
        dy: [3, 2, 4, 5],
        unevenX: [3],
        unevenDy: [3],
      },
      values: { unevenX: [0, 0, 1], unevenDy: [0, 0, 0] },
      attributes: { padding: 1, run: 2 },
    },
    {
      shapes: { du: [1, 36, 1, 1], x: [1, 1, 3, 3], dy: [1, 1, 1, 1], unevenX: [1], unevenDy: [1] },
      values: { unevenX: [0], unevenDy: [1] },
      attributes: { padding: 0, run: 1 },
    },
  ],
});
