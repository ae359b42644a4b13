import type { Tensor } from "../../kernels/mod.ts";

/** A velocity v(x, t), or v(x, t, c) under a condition: x f32[N, ...], t f32[N] in [0, 1] -> the shape of x. */
export interface VelocityField {
  /**
   * The velocity, without reading anything back, so that it can be recorded.
   *
   * @param condition one row for each x, such as class labels u32[N]; absent where a field has none
   */
  velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor;
}
