import { randomNormal, type Tensor, tensor } from "../../kernels/mod.ts";
import type { Objective, Pairs } from "../flow/objective.ts";
import type { BatchSource } from "./batch_source.ts";

/** Draws the pairs of noise and data of each step: what changes from step to step lies in three small tensors. */
export class PairDraw {
  readonly #indices: Tensor;
  readonly #noiseKey = tensor(new Uint32Array(3));
  readonly #timeKey = tensor(new Uint32Array(3));

  /**
   * Draws nothing yet.
   *
   * @param streams which random numbers are noise, and which are times
   */
  constructor(
    readonly source: BatchSource,
    readonly batchSize: number,
    readonly streams: { readonly noise: number; readonly time: number },
  ) {
    this.#indices = tensor(new Uint32Array(batchSize));
  }

  /**
   * Says what the next run of a recorded step is about.
   *
   * @param examples their indices, u32[batchSize]
   * @param counter tells draws of one seed apart
   */
  write(examples: Uint32Array, seed: number, counter: number): void {
    this.#indices.write(examples);
    this.#noiseKey.write(Uint32Array.of(seed, this.streams.noise, counter));
    this.#timeKey.write(Uint32Array.of(seed, this.streams.time, counter));
  }

  /**
   * The pairs, by device ops alone.
   *
   * @param indices of other examples than those written, u32[N], to plan another batch size
   */
  pairs({ times }: Objective, indices: Tensor = this.#indices): Pairs {
    const examples = this.source.batch(indices);
    const x0 = randomNormal(this.#noiseKey, examples.x1.shape);
    return { ...examples, x0, t: times.draw(this.#timeKey, indices.size) };
  }
}
