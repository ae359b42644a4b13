import { add, multiply, reshape, subtract, type Tensor } from "../../kernels/mod.ts";

/** A path from noise to data. */
export interface Path {
  /**
   * The point of each pair at t, and its velocity.
   *
   * @param x0 noise, f32[N, ...]
   * @param x1 data, same shape as x0
   * @param t f32[N] in [0, 1]: 0 is noise, 1 is data
   * @returns xt and u = dxt/dt, same shape as x0
   * @throws {ShapeError} if the shapes do not match
   */
  at(x0: Tensor, x1: Tensor, t: Tensor): { xt: Tensor; u: Tensor };
}

/**
 * The straight path from noise to data, xt = t x1 + (1 - t) x0, and its constant velocity u = x1 - x0.
 *
 * @param x0 noise, f32[N, ...]
 * @param x1 data, same shape as x0
 * @param t f32[N] in [0, 1]: 0 is noise, 1 is data
 * @returns xt and u, same shape as x0
 * @throws {ShapeError} if the shapes do not match
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 22 with sigma_min = 0
 */
export function path(x0: Tensor, x1: Tensor, t: Tensor): { xt: Tensor; u: Tensor } {
  const each = reshape(t, x0.shape.map((N, axis) => axis === 0 ? N : 1));
  const xt = add(multiply(x1, each), multiply(x0, subtract(1, each)));
  return { xt, u: subtract(x1, x0) };
}

/** The straight path, {@linkcode path}, for an objective. */
export const linearPath: Path = { at: path };

/** The paths by name. */
export const paths = {
  linear: { doc: "t x1 + (1 - t) x0", settings: {}, make: () => linearPath },
} as const;
