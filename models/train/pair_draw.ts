import { less, randomNormal, randomUniform, type Tensor, tensor, where } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { Objective, Pairs } from "../flow/objective.ts";
import type { BatchSource } from "./batch_source.ts";
import { streams } from "../random.ts";

/** Draws pairs of noise and data for a recorded step. All that changes between runs is in three small tensors. */
export class PairDraw {
  readonly #indices: Tensor;
  readonly #noiseKey = tensor(new Uint32Array(3));
  readonly #timeKey = tensor(new Uint32Array(3));

  /**
   * Makes the tensors.
   *
   * @param streams the random streams of noise and times
   * @throws {RangeError} if the batch size is not a positive integer
   */
  constructor(
    readonly source: BatchSource,
    readonly batchSize: number,
    readonly streams: { readonly noise: number; readonly time: number },
  ) {
    checkCount("draw pairs", "batchSize", batchSize);
    this.#indices = tensor(new Uint32Array(batchSize));
  }

  /**
   * Sets the examples and random numbers of the next run.
   *
   * @param examples their indices, u32[batchSize]
   * @param counter distinguishes draws with one seed, such as the step
   */
  write(examples: Uint32Array, seed: number, counter: number): void {
    this.#indices.write(examples);
    this.#noiseKey.write(Uint32Array.of(seed, this.streams.noise, counter));
    this.#timeKey.write(Uint32Array.of(seed, this.streams.time, counter));
  }

  /**
   * The pairs, from device ops only.
   *
   * @param indices u32[N]; by default those written, others to plan another batch size
   */
  pairs({ times }: Objective, indices: Tensor = this.#indices): Pairs {
    const examples = this.source.batch(indices);
    const x0 = examples.x0 ?? randomNormal(this.#noiseKey, examples.x1.shape);
    const t: unknown = times.draw(this.#timeKey, indices.size);
    return { ...examples, x0, t: checkTensor("draw pairs", "the times are", t, [indices.size]) };
  }
}

/**
 * Replaces some labels of each batch by "none", so that one network learns the conditional and the unconditional
 * velocity. All that changes between runs of a recorded step is in one small tensor.
 *
 * Source: Ho and Salimans 2022, arXiv:2207.12598, algorithm 1
 */
export class LabelDropout {
  readonly #key = tensor(new Uint32Array(3));

  /**
   * Makes the tensor.
   *
   * @param probability of each label to be replaced, in [0, 1]
   * @param none the label that stands for "none"
   * @throws {RangeError} if the probability is not in [0, 1]
   */
  constructor(readonly probability: number, readonly none: number) {
    if (probability >= 0 && probability <= 1) return;
    throw new RangeError(`Cannot drop labels with probability ${probability} (expected 0 to 1)`);
  }

  /** Sets the random numbers of the next run; `counter` distinguishes draws with one seed, such as the step. */
  write(seed: number, counter: number): void {
    this.#key.write(Uint32Array.of(seed, streams.labelDropout, counter));
  }

  /** Labels u32[N], some of them replaced, from device ops only. */
  apply(labels: Tensor): Tensor {
    return where(less(randomUniform(this.#key, labels.shape), this.probability), this.none, labels);
  }
}
