import { add, less, meanSquaredError, multiply, type Tensor, where } from "../../kernels/mod.ts";
import { meanVelocityOf } from "../flow/field.ts";
import { perRow } from "../flow/rows.ts";
import { type NamedTensors, withParameters } from "../nn/flat_parameters.ts";
import { namedParameters } from "../nn/module.ts";
import type { StepLoss } from "../train/step_loss.ts";
import { constant, type Distillation, moved, TaughtDraw } from "./distillation.ts";

/** Shorter steps learn the teacher's velocity. */
const shortest = 0.06;

/**
 * A flow map by the shortcut rule: a step of length d does what two steps of length d / 2 do, with the averaged weights.
 *
 * Source: Frans et al. 2024, arXiv:2410.12557, equation 5; short steps follow the teacher here
 */
export class ShortcutMapLoss implements StepLoss {
  readonly #student: Distillation["student"];
  readonly #draw: TaughtDraw;

  /** A quarter of the points is noise. */
  constructor(distillation: Distillation) {
    this.#student = distillation.student;
    this.#draw = new TaughtDraw(distillation, 0.25);
  }

  /** Sets the examples and random numbers of the next run. */
  write(examples: Uint32Array, seed: number, step: number): void {
    this.#draw.write(examples, seed, step);
  }

  /** The loss, f32[]; a quarter of the steps has length 0. */
  loss(averaged: NamedTensors, batchSize?: number): Tensor {
    const student = this.#student;
    const { xt, t, condition, v } = this.#draw.points(batchSize);
    const d = this.#draw.lengths(t, 0.25);
    const half = multiply(d, 0.5);
    const target = withParameters(namedParameters(student), averaged, () => {
      const first = meanVelocityOf(student, xt, t, half, condition);
      const middle = moved(xt, first, perRow(half, xt));
      const second = meanVelocityOf(student, middle, add(t, half), half, condition);
      return multiply(add(first, second), 0.5);
    });
    const taught = constant(where(less(perRow(d, v), shortest), v, target));
    return meanSquaredError(meanVelocityOf(student, xt, t, d, condition), taught);
  }
}
