import {
  add,
  concat,
  meanSquaredError,
  multiply,
  slice,
  subtract,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import { meanVelocityOf, type VelocityField } from "../flow/field.ts";
import { perRow, rowsAt } from "../flow/rows.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { constant, type Distillation, TaughtLoss } from "./distillation.ts";

/** Step of the central difference: larger ones bend, smaller ones lose digits in f32. */
const epsilon = 0.003;

/**
 * The derivative of u along the flow, Du/Dt = du/dx v + du/dt - du/dd, by a central difference. No gradient flows
 * through it.
 *
 * @param v the velocity at x, f32[N, ...]
 * @param t, d f32[N]
 * @returns f32[N, ...]
 */
export function alongFlow(
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  d: Tensor,
  v: Tensor,
  condition?: Tensor,
): Tensor {
  const N = x.shape[0];
  const both = (a: Tensor, slope: Tensor | number) => {
    const change = typeof slope === "number" ? slope * epsilon : multiply(slope, epsilon);
    return concat([add(a, change), subtract(a, change)], 0);
  };
  const rows = condition && rowsAt(condition, tensor(Uint32Array.from({ length: 2 * N }, (_, i) => i % N)));
  const u = meanVelocityOf(field, both(x, v), both(t, 1), both(d, -1), rows);
  return constant(multiply(subtract(slice(u, 0, 0, N), slice(u, 0, N, N)), 1 / (2 * epsilon)));
}

/**
 * The target of the mean rule, sg[v + d Du/Dt]; where d = 0 it is v, to the bit.
 *
 * @param v the velocity at x, f32[N, ...]
 * @param t, d f32[N]
 * @returns f32[N, ...]
 */
export function meanTarget(
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  d: Tensor,
  v: Tensor,
  condition?: Tensor,
): Tensor {
  const slope = alongFlow(field, x, t, d, v, condition);
  return constant(add(v, multiply(slope, perRow(d, slope))));
}

/**
 * A flow map by the mean rule: the mean velocity from t to t + d obeys u = v + d Du/Dt, so the target is
 * sg[v + d Du/Dt] with the teacher's velocity v, and at d = 0 the velocity itself.
 *
 * Source: Geng et al. 2025, arXiv:2505.13447, equation 6; with a teacher Sabour et al. 2025, arXiv:2506.14603
 */
export class MeanMapLoss extends TaughtLoss {
  /** A quarter of the points is noise. */
  constructor(distillation: Distillation) {
    super(distillation, 0.25);
  }

  /** The loss, f32[]; half of the steps have length 0. */
  override loss(_averaged: NamedTensors, batchSize?: number): Tensor {
    const { xt, t, condition, v } = this.points(batchSize);
    const d = this.lengths(t, 0.5);
    const target = meanTarget(this.student, xt, t, d, v, condition);
    return meanSquaredError(meanVelocityOf(this.student, xt, t, d, condition), target);
  }
}
