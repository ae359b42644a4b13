/** Identifies the noise of a training step. */
export interface NoiseDraw {
  /** Integer in [0, 2^32). */
  readonly seed: number;
  /** The step, from 0. */
  readonly step: number;
}

/** Pairs data with noise. */
export interface Coupling {
  /**
   * Reorders a batch so that example n is paired with row n of the noise.
   *
   * @param examples indices of a batch, u32[N]
   * @param draw the noise of the step
   * @returns the same examples, reordered
   */
  pair(examples: Uint32Array<ArrayBuffer>, draw: NoiseDraw): Uint32Array<ArrayBuffer>;
}

/** Noise and data are drawn independently. */
export const independentCoupling: Coupling = { pair: (examples) => examples };

/** The couplings by name. */
export const couplings = {
  independent: {
    doc: "noise and data are drawn independently",
    settings: {},
    make: () => independentCoupling,
  },
} as const;
