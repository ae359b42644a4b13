import { add, meanSquaredError, multiply, reshape, subtract, type Tensor } from "../../kernels/mod.ts";

/** A velocity v(x, t): x f32[N, ...], t f32[N] in [0, 1] -> the shape of x. */
export interface VelocityField {
  /** v(x, t), without reading anything back, so that it can be recorded. */
  velocity(x: Tensor, t: Tensor): Tensor;
}

/**
 * The straight path from noise to data, xt = t x1 + (1 - t) x0, and its velocity u = x1 - x0.
 *
 * @param x0 noise, f32[N, ...]
 * @param x1 data, of the same shape
 * @param t f32[N] in [0, 1]: 0 is noise, 1 is data
 * @returns xt and u, of the shape of x0
 * @throws {ShapeError} if the shapes do not fit
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 22 with sigma_min = 0
 */
export function path(x0: Tensor, x1: Tensor, t: Tensor): { xt: Tensor; u: Tensor } {
  const each = reshape(t, x0.shape.map((N, axis) => axis === 0 ? N : 1));
  const xt = add(multiply(x1, each), multiply(x0, subtract(1, each)));
  return { xt, u: subtract(x1, x0) };
}

/**
 * Conditional flow-matching loss, E |v(xt, t) - (x1 - x0)|^2, as the mean over all elements.
 *
 * @param model gives v(xt, t), of the shape of x1
 * @param x0 noise, f32[N, ...]
 * @param x1 data, of the same shape
 * @param t f32[N] in [0, 1]
 * @returns f32[]
 * @throws {ShapeError} if the shapes do not fit
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 23 with sigma_min = 0
 */
export function flowMatchingLoss(model: VelocityField, x0: Tensor, x1: Tensor, t: Tensor): Tensor {
  const { xt, u } = path(x0, x1, t);
  return meanSquaredError(model.velocity(xt, t), u);
}
