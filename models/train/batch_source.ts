import type { HostExamples } from "../flow/coupling.ts";
import { gatherRows, reshape, type Shape, ShapeError, type Tensor } from "../../kernels/mod.ts";

/** The examples of a batch. */
export interface Examples {
  /** Data, f32[N, ...]. */
  readonly x1: Tensor;
  /** One row per example, if the data has conditions. */
  readonly condition?: Tensor;
}

/** A data set on the device. */
export interface BatchSource {
  /** Shape of one example, without the batch axis. */
  readonly shape: Shape;
  /**
   * The examples at some indices, from device ops only, so that it can be recorded.
   *
   * @param indices u32[N]
   */
  batch(indices: Tensor): Examples;
  /** The same examples in host memory, for couplings that see them. */
  readonly host?: HostExamples;
}

/**
 * A source of batches from the rows of a tensor.
 *
 * @param x1 data, f32[M, ...]
 * @param condition one row per example, f32[M, ...] or u32[M, ...]
 * @param host the same rows in host memory, see `hostRows`
 * @throws {ShapeError} if there are no rows, or not as many in the condition
 */
export function rowsOf(x1: Tensor, condition?: Tensor, host?: HostExamples): BatchSource {
  const [M, ...shape] = x1.shape;
  if (!M) throw new ShapeError(`Cannot take rows of x1 ${x1} (expected at least one)`);
  if (condition && condition.shape[0] !== M) {
    throw new ShapeError(`Cannot take rows: the condition is ${condition} for x1 ${x1} (expected ${M} rows)`);
  }
  return {
    shape,
    ...host && { host },
    batch: (indices) => ({
      x1: rowsAt(x1, indices),
      ...condition && { condition: rowsAt(condition, indices) },
    }),
  };
}

/** The rows of f32[M, ...] or u32[M, ...] at indices u32[N], from device ops only. */
export function rowsAt(values: Tensor, indices: Tensor): Tensor {
  const [M, ...shape] = values.shape;
  const picked = gatherRows(reshape(values, [M, values.size / M]), indices);
  return reshape(picked, [indices.size, ...shape]);
}

/**
 * Rows in host memory, for couplings.
 *
 * @param values f32[M, size]
 * @param labels u32[M], if the rows have classes
 */
export function hostRows(values: Float32Array, size: number, labels?: Uint32Array): HostExamples {
  return {
    size,
    values(examples) {
      const rows = new Float32Array(examples.length * size);
      examples.forEach((m, n) => rows.set(values.subarray(m * size, (m + 1) * size), n * size));
      return rows;
    },
    ...labels && { labels: (examples: Uint32Array) => Uint32Array.from(examples, (m) => labels[m]) },
  };
}
