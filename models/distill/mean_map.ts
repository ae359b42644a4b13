import { add, full, jvp, meanSquaredError, multiply, type Tensor } from "../../kernels/mod.ts";
import { meanVelocityOf, type VelocityField } from "../flow/field.ts";
import { perRow } from "../flow/path.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { detached, type Distillation, TaughtLoss } from "./distillation.ts";

/**
 * The mean velocity u, and its derivative along the flow, Du/Dt = du/dx v + du/dt - du/dd, in one pass. No gradient
 * flows through the derivative.
 *
 * @param v the velocity at x, f32[N, ...]
 * @param t, d f32[N]
 * @returns f32[N, ...] each
 */
export function alongFlow(
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  d: Tensor,
  v: Tensor,
  condition?: Tensor,
): readonly [u: Tensor, slope: Tensor] {
  const [u, slope] = jvp(
    (x, t, d) => meanVelocityOf(field, x, t, d, condition),
    [x, t, d],
    [v, full(t.shape, 1), full(d.shape, -1)],
  );
  return [u, detached(slope)];
}

/**
 * A flow map by the mean rule: the mean velocity from t to t + d obeys u = v + d Du/Dt, so the target is
 * sg[v + d Du/Dt] with the teacher's velocity v, and at d = 0 the velocity itself, to the bit.
 *
 * Source: Geng et al. 2025, arXiv:2505.13447, equation 6; with a teacher Sabour et al. 2025, arXiv:2506.14603
 */
export class MeanMapLoss extends TaughtLoss {
  /** A quarter of the points are noise. */
  constructor(distillation: Distillation) {
    super(distillation, 0.25);
  }

  /** The loss, f32[]; half of the steps have length 0. */
  override loss(_averaged: NamedTensors, batchSize?: number): Tensor {
    const { xt, t, condition, v, map } = this.points(batchSize);
    const d = this.lengths(t, 0.5);
    const [u, slope] = alongFlow(map, xt, t, d, v, condition);
    return meanSquaredError(u, detached(add(v, multiply(slope, perRow(d, slope)))));
  }
}
