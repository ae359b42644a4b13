import { defineOp } from "../op.ts";
import { ShapeError } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { sum } from "./reduce.ts";
import backwardWgsl from "./group_norm_gradient.wgsl" with { type: "text" };
import wgsl from "./group_norm.wgsl" with { type: "text" };

const normalise = defineOp({
  name: "groupNorm",
  signature: "x[N, C, H, W], gamma[C], beta[C] -> y[N, C, H, W], mean[N, G], rstd[N, G]",
  attributes: { G: "u32", epsilon: "f32" },
  invocations: ({ N, G }) => N * G,
  wgsl,
  backward({ x, gamma, mean, rstd, dy }) {
    let parts: Tensor[] | undefined;
    const part = (k: number) => (parts ??= groupNormGradient(x, gamma, mean, rstd, dy))[k];
    return { x: () => part(0), gamma: () => sum(part(1), [0]), beta: () => sum(part(2), [0]) };
  },
  reference({ x, gamma, beta, y, mean, rstd }, { N, C, H, W, G, epsilon }) {
    const channels = C / G, pixels = H * W, count = channels * pixels;
    for (let n = 0; n < N; n++) {
      for (let g = 0; g < G; g++) {
        const from = (n * C + g * channels) * pixels;
        let m = 0, variance = 0;
        for (let i = 0; i < count; i++) m += x[from + i] / count;
        for (let i = 0; i < count; i++) variance += (x[from + i] - m) ** 2 / count;
        mean[n * G + g] = m;
        const r = rstd[n * G + g] = 1 / Math.sqrt(variance + epsilon);
        for (let i = 0; i < count; i++) {
          const c = g * channels + Math.floor(i / pixels);
          y[from + i] = (x[from + i] - m) * r * gamma[c] + beta[c];
        }
      }
    }
  },
  samples: [
    { shapes: { x: [2, 6, 3, 5], gamma: [6], beta: [6] }, attributes: { G: 3, epsilon: 1e-5 } },
    { shapes: { x: [1, 4, 1, 2], gamma: [4], beta: [4] }, attributes: { G: 4, epsilon: 1e-5 } },
  ],
});

/**
 * dx = rstd (gamma dy - mean(gamma dy) - xhat mean(gamma dy xhat)), means over the group;
 * dgamma and dbeta are the sums over n of `scales` = sum(dy xhat) and `shifts` = sum(dy) of each image and channel.
 */
const groupNormGradient = defineOp({
  name: "groupNormGradient",
  signature:
    "x[N, C, H, W], gamma[C], mean[N, G], rstd[N, G], dy[N, C, H, W] -> dx[N, C, H, W], scales[N, C], shifts[N, C]",
  invocations: ({ N, G }) => N * G,
  wgsl: backwardWgsl,
  reference({ x, gamma, mean, rstd, dy, dx, scales, shifts }, { N, C, H, W, G }) {
    const channels = C / G, pixels = H * W, count = channels * pixels;
    for (let n = 0; n < N; n++) {
      for (let g = 0; g < G; g++) {
        const m = mean[n * G + g], r = rstd[n * G + g];
        let meanShift = 0, meanScale = 0;
        for (let c = g * channels; c < (g + 1) * channels; c++) {
          let scale = 0, shift = 0;
          for (let i = (n * C + c) * pixels; i < (n * C + c + 1) * pixels; i++) {
            scale += dy[i] * (x[i] - m) * r;
            shift += dy[i];
          }
          scales[n * C + c] = scale;
          shifts[n * C + c] = shift;
          meanScale += gamma[c] * scale / count;
          meanShift += gamma[c] * shift / count;
        }
        for (let c = g * channels; c < (g + 1) * channels; c++) {
          for (let i = (n * C + c) * pixels; i < (n * C + c + 1) * pixels; i++) {
            dx[i] = r * (gamma[c] * dy[i] - meanShift - (x[i] - m) * r * meanScale);
          }
        }
      }
    }
  },
  samples: [{
    shapes: { x: [2, 6, 3, 5], gamma: [6], mean: [2, 3], rstd: [2, 3], dy: [2, 6, 3, 5] },
  }],
});

/**
 * Group normalisation: each group of channels of each image to mean 0 and variance 1, then gamma and beta a channel.
 *
 * @param x f32[N, C, H, W]
 * @param gamma f32[C]
 * @param beta f32[C]
 * @throws {ShapeError} if `groups` does not divide C
 * Source: Wu and He 2018, arXiv:1803.08494
 */
export function groupNorm(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  { groups, epsilon = 1e-5 }: { groups: number; epsilon?: number },
): Tensor {
  if (!Number.isInteger(groups) || groups < 1 || x.shape[1] % groups !== 0) {
    throw new ShapeError(`Cannot run groupNorm: ${groups} groups do not divide the channels of x ${x}`);
  }
  return normalise(x, gamma, beta, { G: groups, epsilon })[0];
}
