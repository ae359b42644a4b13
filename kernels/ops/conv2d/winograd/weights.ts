import { defineOp, type Op } from "../../../op.ts";
import { zeros } from "../../layout/fill.ts";
import { repeatLines } from "../../matmul/repeat_lines.ts";
import { bothSides, weightMatrix } from "./matrices.ts";
import { inTwoDimensions, stepsInWgsl } from "./two_dimensions.ts";

/**
 * u[e] = G g G' of the weights of every pair of channels, a matrix from source channels J to target channels I.
 *
 * @param turned 1 for the input gradient: the weights rotated by 180 degrees, in and out swapped
 */
export const weightTransform: Op<"w[K, C, 3, 3] -> u[36, I, J]", { turned: "u32" }> = defineOp({
  name: "winogradWeights",
  signature: "w[K, C, 3, 3] -> u[36, I, J]",
  attributes: { turned: "u32" },
  derive: ({ K, C, turned }) => ({ I: turned ? C : K, J: turned ? K : C }),
  specialise: ["turned"],
  invocations: ({ K, C }) => K * C,
  wgsl: (_, { turned }) =>
    `${stepsInWgsl}
fn kernel(i: u32) {
  let k = ${turned ? "i % dims.J" : "i / dims.J"};
  let c = ${turned ? "i / dims.J" : "i % dims.J"};
  let base = (k * dims.C + c) * 9u;
${inTwoDimensions("weightStep", (r, s) => `w[base + ${turned ? 8 - 3 * r - s : 3 * r + s}u]`)}
${repeatLines(36, (e) => `  u[${e}u * dims.K * dims.C + i] = row_${Math.floor(e / 6)}[${e % 6}];`)}
}`,
  empty: zeros,
  reference({ w, u }, { K, C, turned }) {
    for (let k = 0; k < K; k++) {
      for (let c = 0; c < C; c++) {
        const from = (k * C + c) * 9;
        const pair = turned ? c * K + k : k * C + c;
        bothSides(weightMatrix, (r, s) => w[from + (turned ? 8 - 3 * r - s : 3 * r + s)])
          .forEach((value, e) => u[e * K * C + pair] = value);
      }
    }
  },
  samples: [
    { shapes: { w: [3, 2, 3, 3] }, attributes: { turned: 0 } },
    { shapes: { w: [2, 5, 3, 3] }, attributes: { turned: 1 } },
  ],
});
