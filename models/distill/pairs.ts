import {
  meanSquaredError,
  multiply,
  randomUniform,
  subtract,
  type Tensor,
  tensor,
  where,
} from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { meanVelocityOf } from "../flow/field.ts";
import { linearPath, uniformDistribution } from "../flow/path.ts";
import type { NamedTensors } from "../nn/flat_parameters.ts";
import { permutation, streams } from "../random.ts";
import { type BatchSource, PairDraw } from "../train/batches.ts";
import type { StepLoss } from "../train/trainer.ts";
import type { Distillation } from "./distillation.ts";

/**
 * Learns straight lines between noise and the images that the teacher's flow makes of it: u(x_t, t, d) = x1 - x0. A
 * share of the rows learns the whole line, t = 0 and d = 1; for the rest t ~ U[0, 1) and d ~ U[0, 1 - t).
 *
 * Source: Liu et al. 2022, arXiv:2209.03003, here for steps of every length
 */
export class PairsLoss implements StepLoss {
  readonly #student: Distillation["student"];
  readonly #draw: PairDraw;
  readonly #whole: number;
  readonly #count: number;
  readonly #lengthKey = tensor(new Uint32Array(3));

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
    checkCount("learn pairs", "count", count, batchSize);
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
    this.#lengthKey.write(Uint32Array.of(seed, streams.stepLengths, step));
  }

  /** The loss, f32[]. */
  loss(_averaged: NamedTensors, planned?: number): Tensor {
    const batchSize = planned ?? this.#draw.batchSize;
    const { x0, x1, t: times, condition } = this.#draw.pairs({ times: uniformDistribution }, planned);
    const wholes = Math.round(this.#whole * batchSize);
    const isWhole = tensor(Uint32Array.from({ length: batchSize }, (_, i) => i < wholes ? 1 : 0));
    const lengths = multiply(randomUniform(this.#lengthKey, [batchSize]), subtract(1, times));
    const [t, d] = [where(isWhole, 0, times), where(isWhole, 1, lengths)];
    const { xt } = linearPath.at(x0, x1, t);
    return meanSquaredError(meanVelocityOf(this.#student, xt, t, d, condition), subtract(x1, x0));
  }
}
