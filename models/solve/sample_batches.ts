import { slice, type Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { type RowBatch, RowBatches } from "./row_batches.ts";
import { checkBatch, Sampler, type SamplerOptions } from "./sampler.ts";

/** Part of the samples, of the size of all parts. */
export interface SampleBatch extends RowBatch {
  /** Noise of the batch, f32[length, C, H, W]. */
  readonly x0: Tensor;
}

/**
 * Covers samples with batches of one size, so that one recorded step serves all. The last batch overlaps the one before.
 * The recording takes place at once; the batches are to be sampled in turn.
 */
export class SampleBatches {
  /** Samples of each batch in turn. */
  readonly sampler: Sampler;
  /** Samples in each batch. */
  readonly length: number;
  readonly #x0: Tensor;
  readonly #batches: RowBatches;

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
    checkBatch(x0.shape);
    const [N, ...shape] = x0.shape;
    const batches = this.#batches = new RowBatches(model, N, batch, condition);
    this.length = batches.length;
    this.#x0 = x0;
    this.sampler = new Sampler(batches.field, [this.length, ...shape], options);
  }

  /** The batches in order; each is ready to be sampled until the next is asked for. */
  *[Symbol.iterator](): Generator<SampleBatch, void, void> {
    for (const rows of this.#batches) yield { ...rows, x0: slice(this.#x0, 0, rows.from, this.length) };
  }
}
