import { concat, ShapeError, slice, type Tensor, tensor } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/count.ts";
import type { VelocityField } from "../flow/field.ts";
import { rowsAt } from "../train/batch_source.ts";

/** Rows of a batch, of the size of all batches. */
export interface RowBatch {
  /** Its first row. */
  readonly from: number;
  /** Its first row that is not in an earlier batch. */
  readonly fresh: number;
}

/**
 * Covers rows with batches of one size, so that one recorded step serves all. The last batch overlaps the one before.
 * The batches are to be worked on in turn.
 */
export class RowBatches {
  /** Rows in each batch. */
  readonly length: number;
  /** The field with the rows of the condition that belong to the batch in work. */
  readonly field: VelocityField;
  readonly #count: number;
  readonly #rows: Tensor;

  /**
   * Sizes the batches.
   *
   * @param count number of rows, at least 1
   * @param batch largest batch
   * @param condition of the field, a row each
   * @throws {RangeError} if the batch is not a positive integer
   * @throws {ShapeError} if there is a condition, but not one row for each
   */
  constructor(field: VelocityField, count: number, batch: number, condition?: Tensor) {
    checkCount("sample", "batch", batch);
    if (condition && condition.shape[0] !== count) {
      throw new ShapeError(
        `Cannot sample ${count} images with the condition ${condition} (expected ${count} rows)`,
      );
    }
    this.#count = count;
    this.length = Math.ceil(count / Math.ceil(count / batch));
    const rows = this.#rows = tensor(new Uint32Array(this.length));
    this.field = condition
      ? {
        guided: field.guided ?? false,
        velocity: (x, t) => field.velocity(x, t, rowsAt(condition, rows)),
      }
      : field;
  }

  /** The batches in order; each is in work until the next is asked for. */
  *[Symbol.iterator](): Generator<RowBatch, void, void> {
    const { length } = this;
    for (let fresh = 0; fresh < this.#count; fresh += length) {
      const from = Math.min(fresh, this.#count - length);
      this.#rows.write(Uint32Array.from({ length }, (_, i) => from + i));
      yield { from, fresh };
    }
  }

  /**
   * Joins what a function gives for each batch.
   *
   * @param of called with the first row of each batch in turn; gives a row for each
   * @returns a row for each row, of all batches
   */
  join(of: (from: number) => readonly Tensor[]): Tensor[] {
    const parts = Array.from(
      this,
      ({ from, fresh }) => of(from).map((found) => slice(found, 0, fresh - from, from + this.length - fresh)),
    );
    return parts[0].map((_, i) => concat(parts.map((part) => part[i]), 0));
  }
}
