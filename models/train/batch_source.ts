import { gatherRows, reshape, type Shape, type Tensor } from "../../kernels/mod.ts";

/** Examples picked for a step. */
export interface Examples {
  /** Data, f32[N, ...]. */
  readonly x1: Tensor;
  /** One row for each example; absent where the data has none. */
  readonly condition?: Tensor;
}

/** Data on the device that training takes its batches from. */
export interface BatchSource {
  /** Of one example, without the axis of the batch. */
  readonly shape: Shape;
  /**
   * The examples of some indices, by device ops alone, so that it can be recorded.
   *
   * @param indices u32[N]
   */
  batch(indices: Tensor): Examples;
}

/**
 * Batches of rows of a tensor.
 *
 * @param x1 data, f32[M, ...]
 * @param condition one row for each example, f32[M, ...] or u32[M, ...]
 */
export function rowsOf(x1: Tensor, condition?: Tensor): BatchSource {
  const shape = x1.shape.slice(1);
  return {
    shape,
    batch: (indices) => ({
      x1: rowsAt(x1, indices),
      ...condition && { condition: rowsAt(condition, indices) },
    }),
  };
}

/** Rows of f32[M, ...] or u32[M, ...] picked by indices u32[N], by device ops alone. */
export function rowsAt(values: Tensor, indices: Tensor): Tensor {
  const [M, ...shape] = values.shape;
  const picked = gatherRows(reshape(values, [M, values.size / M]), indices);
  return reshape(picked, [indices.size, ...shape]);
}
