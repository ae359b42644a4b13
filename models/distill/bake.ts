import { meanSquaredError, type Tensor } from "../../kernels/mod.ts";
import { velocityOf } from "../flow/field.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import type { StepLoss } from "../train/step_loss.ts";
import { type Distillation, TaughtDraw } from "./distillation.ts";

/**
 * Bakes the teacher's guidance into the student: E |u(xt, t, 0, y) - v(xt, t, y)|^2 with the guided velocity v. One row
 * of the network then does what two did.
 *
 * Source: Meng et al. 2022, arXiv:2210.03142, stage one
 */
export class BakeLoss implements StepLoss {
  readonly #student: Distillation["student"];
  readonly #draw: TaughtDraw;

  /** A tenth of the points is noise. */
  constructor(distillation: Distillation) {
    this.#student = distillation.student;
    this.#draw = new TaughtDraw(distillation, 0.1);
  }

  /** Sets the examples and random numbers of the next run. */
  write(examples: Uint32Array, seed: number, step: number): void {
    this.#draw.write(examples, seed, step);
  }

  /** The loss, f32[]. */
  loss(_averaged: NamedTensors, batchSize?: number): Tensor {
    const { xt, t, condition, v } = this.#draw.points(batchSize);
    return meanSquaredError(velocityOf(this.#student, xt, t, condition), v);
  }
}
