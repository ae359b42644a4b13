import type { Tensor } from "../../kernels/mod.ts";

/** The meaning of a network's output. */
export interface Prediction {
  /**
   * Converts an output at (xt, t) to a velocity.
   *
   * @param output f32[N, ...]
   * @param xt same shape as the output
   * @param t f32[N]
   */
  velocity(output: Tensor, xt: Tensor, t: Tensor): Tensor;
}

/** The output is the velocity. */
export const velocityPrediction: Prediction = { velocity: (output) => output };

/** The predictions by name. */
export const predictions = {
  velocity: { doc: "the network predicts v", settings: {}, make: () => velocityPrediction },
} as const;
