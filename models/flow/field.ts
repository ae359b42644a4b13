import type { Tensor } from "../../kernels/mod.ts";

/** A velocity field v(x, t), or v(x, t, c) with a condition: x f32[N, ...], t f32[N] in [0, 1] -> the shape of x. */
export interface VelocityField {
  /**
   * The velocity, from device ops only, so that it can be recorded.
   *
   * @param condition one row per x, such as class labels u32[N], if the field takes one
   */
  velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor;
}
