import { add, less, meanSquaredError, multiply, type Tensor, where } from "../../kernels/mod.ts";
import { meanVelocityOf } from "../flow/field.ts";
import { perRow } from "../flow/path.ts";
import { type NamedTensors, withParameters } from "../nn/flat_parameters.ts";
import { namedParameters } from "../nn/module.ts";
import { detached, type Distillation, TaughtLoss } from "./distillation.ts";

/** Steps shorter than this learn the teacher's velocity. */
const shortest = 0.06;

/**
 * A flow map by the shortcut rule: a step of length d does what two steps of length d / 2 do, with the averaged weights.
 *
 * Source: Frans et al. 2024, arXiv:2410.12557, equation 5; short steps follow the teacher here
 */
export class ShortcutMapLoss extends TaughtLoss {
  /** A quarter of the points are noise. */
  constructor(distillation: Distillation) {
    super(distillation, 0.25);
  }

  /** The loss, f32[]; a quarter of the steps have length 0. */
  override loss(averaged: NamedTensors, batchSize?: number): Tensor {
    const { xt, t, condition, v, map } = this.points(batchSize);
    const d = this.lengths(t, 0.25);
    const half = multiply(d, 0.5);
    const target = withParameters(namedParameters(this.student), averaged, () => {
      const first = meanVelocityOf(map, xt, t, half, condition);
      const middle = add(xt, multiply(first, perRow(half, xt)));
      const second = meanVelocityOf(map, middle, add(t, half), half, condition);
      return multiply(add(first, second), 0.5);
    });
    const taught = detached(where(less(perRow(d, v), shortest), v, target));
    return meanSquaredError(meanVelocityOf(map, xt, t, d, condition), taught);
  }
}
