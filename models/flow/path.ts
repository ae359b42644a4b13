import { add, cos, full, multiply, sin, subtract, type Tensor, withDevice } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { perRow } from "./rows.ts";

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
   * @throws {ShapeError} if the shapes do not match
   */
  at(x0: Tensor, x1: Tensor, t: Tensor): { xt: Tensor; u: Tensor };
  /** Coefficients at t f32[N], if xt = alpha x1 + sigma x0. Needed to predict data or noise. */
  coefficients?(t: Tensor): Coefficients;
}

/** Shapes that merely broadcast would silently give wrong points. @throws {ShapeError} if they do not match */
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
