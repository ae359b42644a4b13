import type { Tensor } from "../../kernels/mod.ts";

/** The weight of the loss at t. */
export interface Weight {
  /**
   * The weight of each time.
   *
   * @param t f32[N]
   * @returns f32[N]; undefined if all weights are 1, which skips the multiplication
   */
  at(t: Tensor): Tensor | undefined;
}

/** Weight 1 at all times. */
export const constantWeight: Weight = { at: () => undefined };

/** The weights by name. */
export const lossWeights = {
  constant: { doc: "1 at all times", settings: {}, make: () => constantWeight },
} as const;
