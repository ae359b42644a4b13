import { add, multiply, randomNormal, randomUniform, sigmoid, type Tensor } from "../../kernels/mod.ts";
import { stratified } from "./stratified.ts";
import { uShaped } from "./u_shaped.ts";

/** The distribution of t in training. */
export interface TimeDistribution {
  /**
   * Draws times with device ops only, so that it can be recorded.
   *
   * @param key u32[3]: seed, stream and counter
   * @param n number of times
   * @returns f32[n] in [0, 1]: 0 is noise, 1 is data
   */
  draw(key: Tensor, n: number): Tensor;
}

/** t ~ U[0, 1). */
export const uniformDistribution: TimeDistribution = { draw: (key, n) => randomUniform(key, [n]) };

/**
 * t = 1 / (1 + exp(-z)) with z ~ N(mean, scale^2): more times in the middle, or near one end.
 *
 * @param mean of z; above 0, more times near data. Sources in which t = 1 is noise have the opposite sign
 * @param scale of z, above 0
 * @throws {RangeError} if one is not finite, or the scale is not above 0
 * Source: Esser et al. 2024, arXiv:2403.03206, section 3.1
 */
export function logitNormal({ mean, scale }: { mean: number; scale: number }): TimeDistribution {
  if (!Number.isFinite(mean) || !(scale > 0 && scale < Infinity)) {
    throw new RangeError(
      `Cannot draw logit_normal times: mean is ${mean} and scale ${scale} (expected finite numbers, scale above 0)`,
    );
  }
  return { draw: (key, n) => sigmoid(add(multiply(randomNormal(key, [n]), scale), mean)) };
}

/** The distributions of t by name. */
export const timeDistributions = {
  uniform: { doc: "t ~ U[0, 1)", settings: {}, make: () => uniformDistribution },
  logit_normal: {
    doc: "more times in the middle, or near one end",
    settings: {
      mean: { default: 0, doc: "mean of the logit of t; above 0, more times near data" },
      scale: { default: 1, above: 0, doc: "standard deviation of the logit" },
    },
    make: logitNormal,
  },
  stratified: { doc: "one t in each of as many equal bins as images", settings: {}, make: () => stratified },
  u_shaped: {
    doc: "more times near both ends, e^(a t) + e^(a (1 - t))",
    settings: { a: { default: 4, above: 0, max: 40, doc: "how steep; near 0, uniform" } },
    make: uShaped,
  },
} as const;
