import { randomNormal, type Tensor, tensor } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/count.ts";
import { checkTensor } from "../../kernels/core/check_tensor.ts";
import type { Objective, Pairs } from "../flow/objective.ts";
import type { BatchSource } from "./batch_source.ts";

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
    const x0 = randomNormal(this.#noiseKey, examples.x1.shape);
    const t: unknown = times.draw(this.#timeKey, indices.size);
    return { ...examples, x0, t: checkTensor("draw pairs", "the times are", t, [indices.size]) };
  }
}
