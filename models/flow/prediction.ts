import { add, divide, maximum, multiply, subtract, type Tensor } from "../../kernels/mod.ts";
import { traitsOf, type VelocityField, velocityOf } from "./field.ts";
import type { Coefficients, Path } from "./path.ts";
import { perRow } from "./rows.ts";

/** Smallest divisor of a conversion. A smaller one, near an end, would amplify small errors of the output. */
const leastDivisor = 0.05;

/** The meaning of a network's output. */
export interface Prediction {
  /**
   * Converts an output at (xt, t) to a velocity.
   *
   * @param output f32[N, ...]
   * @param xt same shape as the output
   * @param t f32[N]
   * @param path the path that xt lies on
   * @throws {TypeError} if the path has no coefficients and the prediction needs them
   */
  velocity(output: Tensor, xt: Tensor, t: Tensor, path: Path): Tensor;
}

/** The output is the velocity. */
export const velocityPrediction: Prediction = { velocity: (output) => output };

/**
 * The output is the data: v = (w x1 + sigma' xt) / max(sigma, 0.05) with w = alpha' sigma - sigma' alpha; on the
 * straight path (x1 - xt) / max(1 - t, 0.05).
 *
 * Loss and solvers use this velocity, and its target is the path's velocity u even where the divisor is clamped: in the
 * last 0.05 of a straight path, the network learns to output xt + 0.05 u instead of x1. So the velocity is right up to
 * t = 1, and solvers need no special last step.
 *
 * Source: Li and He 2025, arXiv:2511.13720; they also clamp the target, and take the last step by Euler's method
 */
export const dataPrediction: Prediction = {
  velocity(output, xt, t, path) {
    const coefficients = coefficientsOf(path, t, "data");
    const velocity = mixed(output, weight(coefficients), xt, coefficients.sigmaSlope);
    return divide(velocity, perRow(maximum(coefficients.sigma, leastDivisor), xt));
  },
};

/**
 * The output is the noise: v = (alpha' xt - w x0) / max(alpha, 0.05) with w as in {@linkcode dataPrediction}; on the
 * straight path (xt - x0) / max(t, 0.05). Clamping affects the first 0.05 here, with the same effect.
 *
 * Source: Ho et al. 2020, arXiv:2006.11239, for the prediction
 */
export const noisePrediction: Prediction = {
  velocity(output, xt, t, path) {
    const coefficients = coefficientsOf(path, t, "noise");
    const velocity = mixed(output, multiply(weight(coefficients), -1), xt, coefficients.alphaSlope);
    return divide(velocity, perRow(maximum(coefficients.alpha, leastDivisor), xt));
  },
};

/** w = alpha' sigma - sigma' alpha, f32[N]; above 0 on paths from noise to data. */
function weight({ alpha, sigma, alphaSlope, sigmaSlope }: Coefficients): Tensor {
  return subtract(multiply(alphaSlope, sigma), multiply(sigmaSlope, alpha));
}

/** a x + b y, with one a and one b per row. */
function mixed(x: Tensor, a: Tensor, y: Tensor, b: Tensor): Tensor {
  return add(multiply(x, perRow(a, x)), multiply(y, perRow(b, y)));
}

function coefficientsOf(path: Path, t: Tensor, what: string): Coefficients {
  if (path.coefficients) return path.coefficients(t);
  throw new TypeError(`Cannot predict ${what} on a path without coefficients (expected alpha x1 + sigma x0)`);
}

/**
 * The velocity field of a network that predicts data or noise.
 *
 * @param network its `velocity` gives the output
 * @param path the path used in training
 */
export function predicting(network: VelocityField, prediction: Prediction, path: Path): VelocityField {
  return {
    ...traitsOf(network),
    path,
    velocity: (x, t, condition) => prediction.velocity(velocityOf(network, x, t, condition), x, t, path),
  };
}

/** The predictions by name. */
export const predictions = {
  velocity: { doc: "the network predicts v", settings: {}, make: () => velocityPrediction },
  data: {
    doc: "it predicts x1, and v follows with a divisor of at least 0.05",
    settings: {},
    make: () => dataPrediction,
  },
  noise: { doc: "it predicts x0, and v follows in the same way", settings: {}, make: () => noisePrediction },
} as const;

/** Name of a prediction. */
export type PredictionName = keyof typeof predictions;
