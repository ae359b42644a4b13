import { mean, meanSquaredError, multiply, square, subtract, type Tensor } from "../../kernels/mod.ts";
import { type Coupling, independentCoupling } from "./coupling.ts";
import type { VelocityField } from "./field.ts";
import { linearPath, type Path } from "./path.ts";
import { type Prediction, velocityPrediction } from "./prediction.ts";
import { type TimeDistribution, uniformDistribution } from "./time_distribution.ts";
import { constantWeight, type Weight } from "./weight.ts";

/** What a network learns, in parts that can be exchanged one by one. */
export interface Objective {
  /** From noise to data. */
  readonly path: Path;
  /** At which t it learns. */
  readonly times: TimeDistribution;
  /** Which data meets which noise. */
  readonly coupling: Coupling;
  /** What the network's output means. */
  readonly prediction: Prediction;
  /** How much an error at t counts. */
  readonly weight: Weight;
}

/** Flow matching as in Lipman et al. 2023: straight paths, uniform times, independent pairs. */
export const flowMatching: Objective = {
  path: linearPath,
  times: uniformDistribution,
  coupling: independentCoupling,
  prediction: velocityPrediction,
  weight: constantWeight,
};

/** Pairs of noise and data at their times. */
export interface Pairs {
  /** Noise, f32[N, ...]. */
  readonly x0: Tensor;
  /** Data, of the same shape. */
  readonly x1: Tensor;
  /** f32[N] in [0, 1]. */
  readonly t: Tensor;
  /** One row for each pair; absent where the field has none. */
  readonly condition?: Tensor;
}

/** The velocity that a field gives for pairs, and the one that it should give. */
function velocities({ path, prediction }: Objective, field: VelocityField, { x0, x1, t, condition }: Pairs) {
  const { xt, u } = path.at(x0, x1, t);
  return { v: prediction.velocity(field.velocity(xt, t, condition), xt, t), u };
}

/**
 * The loss of each pair, w(t) |v - u|^2, as the mean over its elements.
 *
 * @returns f32[N]
 * @throws {ShapeError} if the shapes do not fit
 */
export function lossesOf(objective: Objective, field: VelocityField, pairs: Pairs): Tensor {
  const { v, u } = velocities(objective, field, pairs);
  const losses = mean(square(subtract(v, u)), u.shape.map((_, axis) => axis).slice(1));
  const w = objective.weight.at(pairs.t);
  return w ? multiply(losses, w) : losses;
}

/**
 * The loss of an objective, E w(t) |v - u|^2, as the mean over all elements.
 *
 * @returns f32[]
 * @throws {ShapeError} if the shapes do not fit
 */
export function lossOf(objective: Objective, field: VelocityField, pairs: Pairs): Tensor {
  if (objective.weight !== constantWeight) return mean(lossesOf(objective, field, pairs));
  const { v, u } = velocities(objective, field, pairs);
  return meanSquaredError(v, u); // one pass over the elements
}

/**
 * Conditional flow-matching loss, E |v(xt, t) - (x1 - x0)|^2, as the mean over all elements.
 *
 * @param model gives v(xt, t), of the shape of x1
 * @param x0 noise, f32[N, ...]
 * @param x1 data, of the same shape
 * @param t f32[N] in [0, 1]
 * @param condition one row for each example, if the model takes a condition
 * @returns f32[]
 * @throws {ShapeError} if the shapes do not fit
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
