import type { Tensor } from "../../kernels/mod.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";

/** What a training step minimises. It is recorded: what changes between steps is stored in small tensors. */
export interface StepLoss {
  /** Sets the examples and random numbers of the next run. */
  write(examples: Uint32Array<ArrayBuffer>, seed: number, step: number): void;
  /**
   * The loss f32[], using only device ops.
   *
   * @param averaged the averaged weights, or the weights themselves without averaging
   * @param batchSize another batch size, to plan its memory
   */
  loss(averaged: NamedTensors, batchSize?: number): Tensor;
}

/** Steps of training with losses of their own, which take turns. */
export interface Stage {
  /** Number of steps. */
  readonly steps: number;
  /** At least one. */
  readonly losses: readonly StepLoss[];
}
