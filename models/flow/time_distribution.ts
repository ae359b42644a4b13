import { randomUniform, type Tensor } from "../../kernels/mod.ts";

/** The distribution of t in training. */
export interface TimeDistribution {
  /**
   * @param key u32[3], what the numbers follow from: seed, stream and counter
   * @param n how many
   * @returns f32[n] in [0, 1], by device ops alone, so that it can be recorded
   */
  draw(key: Tensor, n: number): Tensor;
}

/** t ~ U[0, 1). */
export const uniformDistribution: TimeDistribution = { draw: (key, n) => randomUniform(key, [n]) };

/** The distributions of t by name. */
export const timeDistributions = {
  uniform: { doc: "all times alike", settings: {}, make: () => uniformDistribution },
} as const;
