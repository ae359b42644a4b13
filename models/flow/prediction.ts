import type { Tensor } from "../../kernels/mod.ts";

/** What a network's output means. */
export interface Prediction {
  /**
   * The velocity that an output at (xt, t) stands for.
   *
   * @param output f32[N, ...]
   * @param xt of the same shape
   * @param t f32[N]
   */
  velocity(output: Tensor, xt: Tensor, t: Tensor): Tensor;
}

/** The output is the velocity. */
export const velocityPrediction: Prediction = { velocity: (output) => output };

/** The predictions by name. */
export const predictions = {
  velocity: { doc: "the network gives v", settings: {}, make: () => velocityPrediction },
} as const;
