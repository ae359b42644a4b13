import { less, randomNormal, randomUniform, type Tensor, tensor, where } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { Objective, Pairs } from "../flow/objective.ts";
import { streams } from "../random.ts";
import type { BatchSource, StagedBatch } from "./batch_source.ts";

/** Replaces random labels by "none", so that one network learns conditional and unconditional velocities. */
export interface LabelDropout {
  /** Probability of replacing each label, in [0, 1]. */
  readonly probability: number;
  /** The label that means "none". */
  readonly none: number;
}

/** Draws pairs of noise and data for a recorded step. What changes between runs is stored in small tensors. */
export class PairDraw {
  readonly #batch: StagedBatch;
  readonly #noiseKey = tensor(new Uint32Array(3));
  readonly #timeKey = tensor(new Uint32Array(3));
  readonly #dropoutKey = tensor(new Uint32Array(3));

  /**
   * Makes the tensors.
   *
   * @param streams the random streams of noise and times
   * @param dropout dropout of labels; by default none. Source: Ho and Salimans 2022, arXiv:2207.12598, algorithm 1
   * @throws {RangeError} if the batch size is not a positive integer, or the probability is not in [0, 1]
   */
  constructor(
    readonly source: BatchSource,
    readonly batchSize: number,
    readonly streams: { readonly noise: number; readonly time: number },
    readonly dropout?: LabelDropout,
  ) {
    checkCount("draw pairs", "batchSize", batchSize);
    if (dropout && !(dropout.probability >= 0 && dropout.probability <= 1)) {
      throw new RangeError(
        `Cannot drop labels with probability ${dropout.probability} (expected a number from 0 to 1)`,
      );
    }
    this.#batch = source.stage(batchSize);
  }

  /**
   * Sets the examples, u32[batchSize], and random numbers of the next run: each counter, such as the step, has its own.
   */
  write(examples: Uint32Array, seed: number, counter: number): void {
    this.#batch.write(examples, { seed, step: counter });
    this.#noiseKey.write(Uint32Array.of(seed, this.streams.noise, counter));
    this.#timeKey.write(Uint32Array.of(seed, this.streams.time, counter));
    if (this.dropout) this.#dropoutKey.write(Uint32Array.of(seed, streams.labelDropout, counter));
  }

  /** The pairs, using only device ops. @param planned another batch size, to plan its memory */
  pairs({ times }: Pick<Objective, "times">, planned?: number): Pairs {
    const batch = planned === undefined ? this.#batch : this.source.stage(planned);
    const { x1, x0, condition } = batch.batch();
    const N = planned ?? this.batchSize;
    const t: unknown = times.draw(this.#timeKey, N);
    return {
      x1,
      x0: x0 ?? randomNormal(this.#noiseKey, x1.shape),
      t: checkTensor("draw pairs", "the times are", t, [N]),
      ...(condition || this.dropout) && { condition: this.#condition(condition) },
    };
  }

  #condition(labels: Tensor | undefined): Tensor {
    if (!labels) {
      throw new TypeError("Cannot drop labels: the data has none (expected labels as its condition)");
    }
    if (!this.dropout) return labels;
    if (labels.type !== "u32") {
      throw new TypeError(`Cannot drop labels: the condition is ${labels} (expected labels, u32[M])`);
    }
    const { probability, none } = this.dropout;
    return where(less(randomUniform(this.#dropoutKey, labels.shape), probability), none, labels);
  }
}
