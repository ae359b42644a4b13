import {
  abs,
  add,
  divide,
  less,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  randomNormal,
  randomUniform,
  sigmoid,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  where,
  withDevice,
} from "../../kernels/mod.ts";

/** The distribution of t in training. */
export interface TimeDistribution {
  /**
   * Draws times. Uses only device ops, so that it can be recorded.
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
 * t = 1 / (1 + exp(-z)) with z ~ N(mean, scale^2): concentrates times in the middle, or near one end.
 *
 * @param mean the mean of z; above 0, more times near data. The sign is opposite in papers where t = 1 is noise
 * @param scale the standard deviation of z, above 0
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

/**
 * Stratified times: t = (n + u) / N for image n of N, u ~ U[0, 1). One time per bin lowers the variance of the loss.
 *
 * The bins need no shuffling, because the images of a batch are already in random order.
 *
 * Source: McKay, Beckman and Conover 1979, Technometrics 21(2), stratified sampling
 */
export const stratified: TimeDistribution = {
  draw(key, n) {
    const bins = withDevice(key.device, () => tensor(Float32Array.from({ length: n }, (_, i) => i)));
    return divide(add(bins, randomUniform(key, [n])), n);
  },
};

/** Below this a, times are uniform to 1e-5, which is also the error of asinh(x) / a in f32. */
const leastSteep = 0.03;

/**
 * Density proportional to e^(a t) + e^(a (1 - t)), or cosh(a (t - 1/2)). Drawn by inverting the distribution function:
 * t = 1/2 + asinh((2 u - 1) sinh(a / 2)) / a with u ~ U[0, 1).
 *
 * @param a steepness towards the ends, above 0, at most 40
 * @throws {RangeError} if it is not
 * Source: Lee, Lin and Fanti 2024, arXiv:2405.20340, section 3.1, for reflow with a = 4
 */
export function uShaped({ a }: { a: number }): TimeDistribution {
  if (!(a > 0 && a <= 40)) {
    throw new RangeError(`Cannot draw u_shaped times: a is ${a} (expected a number above 0, at most 40)`);
  }
  if (a < leastSteep) return { draw: (key, n) => randomUniform(key, [n]) };
  return {
    draw(key, n) {
      const u = randomUniform(key, [n]);
      const x = multiply(abs(subtract(multiply(u, 2), 1)), Math.sinh(a / 2));
      const away = divide(log(add(x, sqrt(add(square(x), 1)))), a); // asinh(x) / a, the distance from the middle
      const t = add(where(less(u, 0.5), negate(away), away), 0.5);
      return minimum(maximum(t, 0), 1); // rounding may leave [0, 1]
    },
  };
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
  stratified: {
    doc: "one t per bin, with as many equal bins as images",
    settings: {},
    make: () => stratified,
  },
  u_shaped: {
    doc: "more times near both ends, e^(a t) + e^(a (1 - t))",
    settings: { a: { default: 4, above: 0, max: 40, doc: "how steep; near 0, uniform" } },
    make: uShaped,
  },
} as const;
