import type { Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { Batches, type SampleBatch } from "./batches.ts";
import { Sampler, type SamplerOptions } from "./sampler.ts";

/**
 * Covers samples with batches of one size, so that one recorded step serves all. The last batch overlaps the one
 * before. The recording takes place at once; the batches are to be sampled in turn.
 */
export class SampleBatches {
  /** Samples of each batch in turn. */
  readonly sampler: Sampler;
  readonly #batches: Batches;

  /**
   * Records one step for all batches.
   *
   * @param x0 noise of all samples, f32[N, C, H, W]
   * @param options how to solve, and the largest batch
   * @throws {RangeError} if the batch is not a positive integer
   * @throws {ShapeError} if there are no samples, or there is a condition, but not one row for each sample
   * @throws as {@linkcode Sampler}
   */
  constructor(
    model: VelocityField,
    x0: Tensor,
    { batch, condition, ...options }: SamplerOptions & { readonly batch: number },
  ) {
    const batches = this.#batches = new Batches(x0, batch, condition);
    this.sampler = new Sampler(batches.field(model), batches.shape, options);
  }

  /** Samples in each batch. */
  get length(): number {
    return this.#batches.length;
  }

  /** The batches in order; each is ready to be sampled until the next is asked for. */
  [Symbol.iterator](): Generator<SampleBatch, void, void> {
    return this.#batches[Symbol.iterator]();
  }
}
