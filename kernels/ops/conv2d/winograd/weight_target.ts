import { defineOp } from "../../../op.ts";
import { repeatLines } from "../../matmul/product.ts";
import { correlate } from "../reference.ts";
import { bothSides, inTwoDimensions, stepsWgsl, transposed, weightMatrix } from "./transforms.ts";

/**
 * dw[g] = G' du[g] G, the weight gradient of a group of images. If x or dy of any image is uneven, or a result is not
 * finite, it is computed tap by tap instead, because the transforms overflow earlier.
 */
export const weightTarget = defineOp({
  name: "winogradWeightTarget",
  signature:
    "du[E, K, C], x[N, C, H, W], dy[N, K, P, Q], unevenX:u32[N], unevenDy:u32[N] -> dw[G, K, C, 3, 3]",
  attributes: { padding: "u32", run: "u32" },
  derive: ({ E }) => ({ G: E / 36 }),
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
  reference({ du, x, dy, unevenX, unevenDy, dw }, dims) {
    const { G, K, C, run } = dims;
    correlate(x, dy, dw, { ...dims, R: 3, S: 3 });
    for (let pair = 0; pair < G * K * C; pair++) {
      const g = Math.floor(pair / (K * C));
      const inRun = (uneven: number, n: number) => uneven !== 0 && Math.floor(n / run) === g;
      const made = bothSides(
        transposed(weightMatrix),
        (i, j) => du[(36 * g + 6 * i + j) * K * C + pair % (K * C)],
      );
      if ([unevenX, unevenDy].some((list) => list.some(inRun)) || !made.every(Number.isFinite)) continue;
      dw.set(made, 9 * pair);
    }
  },
  samples: [
    {
      shapes: { du: [72, 2, 3], x: [3, 3, 4, 5], dy: [3, 2, 4, 5], unevenX: [3], unevenDy: [3] },
      values: { unevenX: [0, 0, 1], unevenDy: [0, 0, 0] },
      attributes: { padding: 1, run: 2 },
    },
    {
      shapes: { du: [36, 1, 1], x: [1, 1, 3, 3], dy: [1, 1, 1, 1], unevenX: [1], unevenDy: [1] },
      values: { unevenX: [0], unevenDy: [1] },
      attributes: { padding: 0, run: 1 },
    },
  ],
});
