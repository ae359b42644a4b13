import { gatherRows, reshape, type Shape, slice, type Tensor } from "../../kernels/mod.ts";

/** All axes except the first, the batch axis. */
export function innerAxes(shape: Shape): number[] {
  return shape.map((_, axis) => axis).slice(1);
}

/** Reshapes values, one per row of x, so that they broadcast to x f32[N, ...]. */
export function perRow(values: Tensor, x: Tensor): Tensor {
  return reshape(values, x.shape.map((N, axis) => axis === 0 ? N : 1));
}

/** The rows of f32[M, ...] or u32[M, ...] at indices u32[N], using only device ops. */
export function rowsAt(values: Tensor, indices: Tensor): Tensor {
  const [M, ...shape] = values.shape;
  const picked = gatherRows(reshape(values, [M, values.size / M]), indices);
  return reshape(picked, [indices.size, ...shape]);
}

/** Copies a tensor, so that later steps do not overwrite it. */
export function copyOf(x: Tensor): Tensor {
  return slice(x, 0, 0, x.shape[0]);
}
