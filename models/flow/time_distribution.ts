import { randomUniform, type Tensor } from "../../kernels/mod.ts";

/** The distribution of t in training. */
export interface TimeDistribution {
  /**
   * Draws times with device ops only, so that it can be recorded.
   *
   * @param key u32[3]: seed, stream and counter
   * @param n number of times
   * @returns f32[n] in [0, 1]
   */
  draw(key: Tensor, n: number): Tensor;
}

/** t ~ U[0, 1). */
export const uniformDistribution: TimeDistribution = { draw: (key, n) => randomUniform(key, [n]) };

/** The distributions of t by name. */
export const timeDistributions = {
  uniform: { doc: "t ~ U[0, 1)", settings: {}, make: () => uniformDistribution },
} as const;
