import { meanSquaredError, subtract, type Tensor, tensor, where } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { meanVelocityOf } from "../flow/field.ts";
import { linearPath, uShaped } from "../flow/path.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { permutation, streams } from "../random.ts";
import { type BatchSource, PairDraw } from "../train/batches.ts";
import type { StepLoss } from "../train/trainer.ts";
import type { Distillation } from "./distillation.ts";

/**
 * Reflow: learns the straight line between noise and the image that the teacher's flow makes of it. A share of the rows
 * learns the whole line in one step, u(x0, 0, 1) = x1 - x0; the remaining rows learn its velocity at times near both
 * ends.
 *
 * Source: Liu et al. 2022, arXiv:2209.03003; times as in Lee, Lin and Fanti 2024, arXiv:2405.20340
 */
export class ReflowLoss implements StepLoss {
  readonly #student: Distillation["student"];
  readonly #draw: PairDraw;
  readonly #whole: number;
  readonly #count: number;

  /**
   * Learns from pairs.
   *
   * @param pairs noise x0 and images x1, with the condition they were made with
   * @param count number of pairs
   * @param whole share of the rows that learn the whole line, in [0, 1]
   * @throws {RangeError} if there are fewer pairs than a batch has
   */
  constructor(
    { student, batchSize }: Pick<Distillation, "student" | "batchSize">,
    pairs: BatchSource,
    { count, whole }: { readonly count: number; readonly whole: number },
  ) {
    checkCount("reflow", "count", count, batchSize);
    this.#student = student;
    this.#draw = new PairDraw(pairs, batchSize, streams);
    this.#whole = whole;
    this.#count = count;
  }

  /** Sets the pairs and random numbers of the next run; the data's examples are not used. */
  write(_examples: Uint32Array, seed: number, step: number): void {
    const { batchSize } = this.#draw;
    const batches = Math.floor(this.#count / batchSize);
    const order = permutation(seed, streams.pairOrder, Math.floor(step / batches), this.#count);
    const first = step % batches * batchSize;
    this.#draw.write(order.subarray(first, first + batchSize), seed, step);
  }

  /** The loss, f32[]. */
  loss(_averaged: NamedTensors, planned?: number): Tensor {
    const batchSize = planned ?? this.#draw.batchSize;
    const { x0, x1, t: spread, condition } = this.#draw.pairs({ times: uShaped({ a: 4 }) }, planned);
    const wholes = Math.round(this.#whole * batchSize);
    const isWhole = tensor(Uint32Array.from({ length: batchSize }, (_, i) => i < wholes ? 1 : 0));
    const t = where(isWhole, 0, spread);
    const d = where(isWhole, 1, tensor(new Float32Array(batchSize)));
    const { xt } = linearPath.at(x0, x1, t);
    return meanSquaredError(meanVelocityOf(this.#student, xt, t, d, condition), subtract(x1, x0));
  }
}
