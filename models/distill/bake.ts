import { meanSquaredError, type Tensor } from "../../kernels/mod.ts";
import { velocityOf } from "../flow/field.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { type Distillation, TaughtLoss } from "./distillation.ts";

/**
 * Bakes the teacher's guidance into the student: E |u(xt, t, 0, y) - v(xt, t, y)|^2 with the guided velocity v. One row
 * of the network then replaces two.
 *
 * Source: Meng et al. 2022, arXiv:2210.03142, stage one
 */
export class BakeLoss extends TaughtLoss {
  /** A tenth of the points are noise. */
  constructor(distillation: Distillation) {
    super(distillation, 0.1);
  }

  /** The loss, f32[]. */
  override loss(_averaged: NamedTensors, batchSize?: number): Tensor {
    const { xt, t, condition, v, map } = this.points(batchSize);
    return meanSquaredError(velocityOf(map, xt, t, condition), v);
  }
}
