import { less, randomUniform, type Tensor, tensor, where } from "../../kernels/mod.ts";
import { streams } from "../random/streams.ts";

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
