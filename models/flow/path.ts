import {
  abs,
  add,
  cos,
  divide,
  full,
  gatherRows,
  less,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  randomNormal,
  randomUniform,
  reshape,
  type Shape,
  sigmoid,
  sin,
  slice,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  where,
  withDevice,
} from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";

/** All axes except the first, the batch axis. */
export function innerAxes(shape: Shape): number[] {
  return shape.map((_, axis) => axis).slice(1);
}

/** Reshapes values, one per row of x, so that they broadcast to x f32[N, ...]. */
export function perRow(values: Tensor, x: Tensor): Tensor {
  return reshape(values, x.shape.map((N, axis) => axis === 0 ? N : 1));
}

/** The rows of f32[M, ...] or u32[M, ...] at indices u32[N], using only device ops. */
export function rowsAt(values: Tensor, indices: Tensor): Tensor {
  const [M, ...shape] = values.shape;
  const picked = gatherRows(reshape(values, [M, values.size / M]), indices);
  return reshape(picked, [indices.size, ...shape]);
}

/** Copies a tensor, so that later steps do not overwrite it. */
export function copyOf(x: Tensor): Tensor {
  return slice(x, 0, 0, x.shape[0]);
}

/** Coefficients of xt = alpha x1 + sigma x0 and their slopes, f32[N] each. */
export interface Coefficients {
  /** Share of data: 0 at t = 0, 1 at t = 1. */
  readonly alpha: Tensor;
  /** Share of noise: 1 at t = 0, 0 at t = 1. */
  readonly sigma: Tensor;
  /** d alpha / dt. */
  readonly alphaSlope: Tensor;
  /** d sigma / dt. */
  readonly sigmaSlope: Tensor;
}

/** A path from noise to data. */
export interface Path {
  /**
   * The point of each pair at t, and its velocity.
   *
   * @param x0 noise, f32[N, ...]
   * @param x1 data, same shape as x0
   * @param t f32[N] in [0, 1]: 0 is noise, 1 is data
   * @returns xt and u = dxt/dt, same shape as x0
   */
  at(x0: Tensor, x1: Tensor, t: Tensor): { xt: Tensor; u: Tensor };
  /** Coefficients at t f32[N], if xt = alpha x1 + sigma x0. Needed to predict data or noise. */
  coefficients?(t: Tensor): Coefficients;
}

/** Shapes that merely broadcast would silently give wrong points. */
function checkPairs(x0: Tensor, x1: Tensor, t: Tensor): void {
  checkTensor("follow a path", "x1 is", x1);
  checkTensor("follow a path", "x0 is", x0, x1.shape);
  checkTensor("follow a path", "t is", t, x1.shape.slice(0, 1));
}

/**
 * The straight path, xt = t x1 + (1 - t) x0, and its constant velocity u = x1 - x0.
 *
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 22 with sigma_min = 0
 */
export const linearPath: Path = {
  at(x0, x1, t) {
    checkPairs(x0, x1, t);
    const each = perRow(t, x0);
    const xt = add(multiply(x1, each), multiply(x0, subtract(1, each)));
    return { xt, u: subtract(x1, x0) };
  },
  coefficients(t) {
    const one = withDevice(t.device, () => full(t.shape, 1));
    return { alpha: t, sigma: subtract(1, t), alphaSlope: one, sigmaSlope: multiply(one, -1) };
  },
};

/**
 * A quarter of a circle, xt = sin(pi t / 2) x1 + cos(pi t / 2) x0: the variance of xt stays 1 if that of the data is 1.
 *
 * Source: Albergo and Vanden-Eijnden 2022, arXiv:2209.15571, equation 5; as a schedule Nichol and Dhariwal 2021,
 * arXiv:2102.09672
 */
export const cosinePath: Path = {
  at(x0, x1, t) {
    checkPairs(x0, x1, t);
    const { alpha, sigma, alphaSlope, sigmaSlope } = quarterCircle(t);
    const mixed = (data: Tensor, noise: Tensor) =>
      add(multiply(x1, perRow(data, x1)), multiply(x0, perRow(noise, x0)));
    return { xt: mixed(alpha, sigma), u: mixed(alphaSlope, sigmaSlope) };
  },
  coefficients: quarterCircle,
};

function quarterCircle(t: Tensor): Coefficients {
  const angle = multiply(t, Math.PI / 2);
  const [alpha, sigma] = [sin(angle), cos(angle)];
  return {
    alpha,
    sigma,
    alphaSlope: multiply(sigma, Math.PI / 2),
    sigmaSlope: multiply(alpha, -Math.PI / 2),
  };
}

/** The paths by name. */
export const paths = {
  linear: { doc: "t x1 + (1 - t) x0", settings: {}, make: () => linearPath },
  cosine: {
    doc: "sin(pi t/2) x1 + cos(pi t/2) x0, of constant variance",
    settings: {},
    make: () => cosinePath,
  },
} as const;

/** Name of a path. */
export type PathName = keyof typeof paths;

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
 *
 * Source: Esser et al. 2024, arXiv:2403.03206, section 3.1
 */
export function logitNormal({ mean, scale }: { mean: number; scale: number }): TimeDistribution {
  if (!Number.isFinite(mean) || !(scale > 0 && scale < Infinity)) {
    const shown = `mean is ${mean} and scale ${scale}`;
    refuse(RangeError, `draw logit_normal times: ${shown}`, "finite numbers, scale above 0");
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
 *
 * Source: Lee, Lin and Fanti 2024, arXiv:2405.20340, section 3.1, for reflow with a = 4
 */
export function uShaped({ a }: { a: number }): TimeDistribution {
  if (!(a > 0 && a <= 40)) {
    refuse(RangeError, `draw u_shaped times: a is ${a}`, "a number above 0, at most 40");
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
