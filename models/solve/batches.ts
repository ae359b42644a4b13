import { ShapeError, slice, type Tensor, tensor } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { traitsOf, type VelocityField } from "../flow/field.ts";
import { rowsAt } from "../train/batch_source.ts";
import { checkBatch } from "./sampler.ts";

/** Part of the samples, of the size of all parts. */
export interface SampleBatch {
  /** Its first sample. */
  readonly from: number;
  /** Its first sample that is not in an earlier batch. */
  readonly fresh: number;
  /** Noise of the batch, f32[length, C, H, W]. */
  readonly x0: Tensor;
}

/** Covers samples with batches of one size. The last batch overlaps the one before. */
export class Batches {
  /** Samples in each batch. */
  readonly length: number;
  readonly #x0: Tensor;
  readonly #condition: Tensor | undefined;
  /** The samples of the batch in work, by which the condition's rows are picked. */
  readonly #rows: Tensor;

  /**
   * @param x0 noise of all samples, f32[N, C, H, W]
   * @param batch most samples in a batch
   * @throws {RangeError} if the batch is not a positive integer
   * @throws {ShapeError} if there are no samples, or there is a condition, but not one row for each sample
   */
  constructor(x0: Tensor, batch: number, condition?: Tensor) {
    checkBatch(x0.shape);
    checkCount("sample", "batch", batch);
    const N = x0.shape[0];
    if (condition && condition.shape[0] !== N) {
      throw new ShapeError(`Cannot sample ${N} images with the condition ${condition} (expected ${N} rows)`);
    }
    this.length = Math.ceil(N / Math.ceil(N / batch));
    this.#x0 = x0;
    this.#condition = condition;
    this.#rows = tensor(new Uint32Array(this.length));
  }

  /** [length, C, H, W] of a batch. */
  get shape(): readonly number[] {
    return [this.length, ...this.#x0.shape.slice(1)];
  }

  /** The field, with the condition of the batch in work. */
  field(model: VelocityField): VelocityField {
    const condition = this.#condition;
    if (!condition) return model;
    return {
      ...traitsOf(model),
      velocity: (x, t) => model.velocity(x, t, rowsAt(condition, this.#rows)),
    };
  }

  /** The batches in order; each is ready to be sampled until the next is asked for. */
  *[Symbol.iterator](): Generator<SampleBatch, void, void> {
    const { length } = this;
    const N = this.#x0.shape[0];
    for (let fresh = 0; fresh < N; fresh += length) {
      const from = Math.min(fresh, N - length);
      this.#rows.write(Uint32Array.from({ length }, (_, i) => from + i));
      yield { from, fresh, x0: slice(this.#x0, 0, from, length) };
    }
  }
}
