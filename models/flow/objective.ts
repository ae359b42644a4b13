import { mean, meanSquaredError, square, subtract, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { type Coupling, independentCoupling } from "./coupling.ts";
import { type VelocityField, velocityOf } from "./field.ts";
import { linearPath, type Path } from "./path.ts";
import { type Prediction, velocityPrediction } from "./prediction.ts";
import { innerAxes } from "./rows.ts";
import { type TimeDistribution, uniformDistribution } from "./time_distribution.ts";

/** A training objective, made of interchangeable parts. */
export interface Objective {
  /** Path from noise to data. */
  readonly path: Path;
  /** The distribution of t. */
  readonly times: TimeDistribution;
  /** How data is paired with noise. */
  readonly coupling: Coupling;
  /** What the field outputs. Networks of `createModel` always output the velocity, whatever they predict inside. */
  readonly prediction: Prediction;
}

/** Flow matching as in Lipman et al. 2023: straight path, uniform times, independent coupling. */
export const flowMatching: Objective = {
  path: linearPath,
  times: uniformDistribution,
  coupling: independentCoupling,
  prediction: velocityPrediction,
};

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
 * @throws {TypeError} if the field does not return a tensor
 * @throws {ShapeError} if the shapes do not match
 */
export function lossesOf(objective: Objective, field: VelocityField, pairs: Pairs): Tensor {
  const { v, u } = velocities(objective, field, pairs);
  return mean(square(subtract(v, u)), innerAxes(u.shape));
}

/** The loss of an objective, E |v - u|^2, averaged over all elements, f32[]. @throws as {@linkcode lossesOf} */
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
 * @throws {ShapeError} if the shapes do not match
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
