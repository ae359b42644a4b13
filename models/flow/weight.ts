import type { Tensor } from "../../kernels/mod.ts";

/** How much an error at t counts. */
export interface Weight {
  /**
   * @param t f32[N]
   * @returns f32[N]; undefined where all count alike, which costs nothing
   */
  at(t: Tensor): Tensor | undefined;
}

/** All times count alike. */
export const constantWeight: Weight = { at: () => undefined };

/** The weights by name. */
export const lossWeights = {
  constant: { doc: "all times count alike", settings: {}, make: () => constantWeight },
} as const;
