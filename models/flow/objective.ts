import {
  add,
  divide,
  maximum,
  mean,
  meanSquaredError,
  multiply,
  square,
  subtract,
  type Tensor,
} from "../../kernels/mod.ts";
import { describeValue, refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { makeDefault, type Registry, rejectUnknown } from "../names.ts";
import { type Coupling, couplings, independentCoupling } from "./coupling.ts";
import { traitsOf, type VelocityField, velocityOf } from "./field.ts";
import {
  type Coefficients,
  innerAxes,
  linearPath,
  type Path,
  type PathName,
  paths,
  perRow,
  type TimeDistribution,
  timeDistributions,
  uniformDistribution,
} from "./path.ts";

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
  refuse(TypeError, `predict ${what} on a path without coefficients`, "alpha x1 + sigma x0");
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

/** A training objective, made of interchangeable parts. */
export interface Objective {
  /** Path from noise to data. */
  readonly path: Path;
  /** The distribution of t. */
  readonly times: TimeDistribution;
  /** How data is paired with noise. */
  readonly coupling: Coupling;
  /**
   * What the field outputs. Networks of `createModel` always output the velocity, regardless of what they predict
   * inside.
   */
  readonly prediction: Prediction;
}

/** Flow matching as in Lipman et al. 2023: straight path, uniform times, independent coupling. */
export const flowMatching: Objective = {
  path: linearPath,
  times: uniformDistribution,
  coupling: independentCoupling,
  prediction: velocityPrediction,
};

/** Parts of an objective, as values or by their names, such as `{ times: "logit_normal" }`. */
export interface ObjectiveParts {
  /** Path from noise to data. */
  readonly path?: Path | PathName;
  /** The distribution of t; by its name with default settings. */
  readonly times?: TimeDistribution | keyof typeof timeDistributions;
  /** How data is paired with noise. */
  readonly coupling?: Coupling | keyof typeof couplings;
  /** What the field outputs. */
  readonly prediction?: Prediction | PredictionName;
}

/** An objective with some parts replaced. */
export function withParts(objective: Objective, parts: ObjectiveParts): Objective {
  rejectUnknown(parts, Object.keys(flowMatching), "an objective");
  const { path, times, coupling, prediction } = parts;
  return {
    path: part("path", path, paths, "at") ?? objective.path,
    times: part("times", times, timeDistributions, "draw") ?? objective.times,
    coupling: part("coupling", coupling, couplings, "pair") ?? objective.coupling,
    prediction: part("prediction", prediction, predictions, "velocity") ?? objective.prediction,
  };
}

function part<T extends object>(
  what: string,
  given: T | string | undefined,
  registry: Registry<T>,
  method: keyof T,
): T | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string") return makeDefault(what, registry, given, "an objective");
  if (typeof given?.[method] === "function") return given;
  const expected = `${Object.keys(registry).join(", ")}, or an object with ${String(method)}()`;
  refuse(TypeError, `use the ${what} of an objective: it is ${describeValue(given)}`, expected);
}

/** Pairs of noise and data, each with its time. */
export interface Pairs {
  /** Noise, f32[N, ...]. */
  readonly x0: Tensor;
  /** Data, same shape as x0. */
  readonly x1: Tensor;
  /** f32[N] in [0, 1]. */
  readonly t: Tensor;
  /** One row per pair, if the field takes a condition. */
  readonly condition?: Tensor;
}

/** The predicted velocity v and the target u of each pair. */
function velocities({ path, prediction }: Objective, field: VelocityField, { x0, x1, t, condition }: Pairs) {
  const { xt, u } = path.at(x0, x1, t);
  checkTensor("use the path", "its point xt is", xt, x1.shape);
  checkTensor("use the path", "its velocity u is", u, x1.shape);
  const v = prediction.velocity(velocityOf(field, xt, t, condition), xt, t, path);
  return { v: checkTensor("use the prediction", "its velocity is", v, x1.shape), u };
}

/**
 * The loss of each pair, |v - u|^2, averaged over its elements.
 *
 * @returns f32[N]
 */
export function lossesOf(objective: Objective, field: VelocityField, pairs: Pairs): Tensor {
  const { v, u } = velocities(objective, field, pairs);
  return mean(square(subtract(v, u)), innerAxes(u.shape));
}

/** The loss of an objective, E |v - u|^2, averaged over all elements, f32[]. */
export function lossOf(objective: Objective, field: VelocityField, pairs: Pairs): Tensor {
  const { v, u } = velocities(objective, field, pairs);
  return meanSquaredError(v, u);
}

/**
 * Conditional flow-matching loss, E |v(xt, t) - (x1 - x0)|^2, averaged over all elements.
 *
 * @param model v(xt, t), same shape as x1
 * @param x0 noise, f32[N, ...]
 * @param x1 data, same shape as x0
 * @param t f32[N] in [0, 1]
 * @param condition one row per example, if the model takes a condition
 * @returns f32[]
 *
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 23 with sigma_min = 0
 */
export function flowMatchingLoss(
  model: VelocityField,
  x0: Tensor,
  x1: Tensor,
  t: Tensor,
  condition?: Tensor,
): Tensor {
  return lossOf(flowMatching, model, { x0, x1, t, ...condition && { condition } });
}
