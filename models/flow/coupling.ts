/** What the noise of a training step follows from. */
export interface NoiseDraw {
  /** Integer in [0, 2^32). */
  readonly seed: number;
  /** Counts the steps from 0. */
  readonly step: number;
}

/** Which data meets which noise. */
export interface Coupling {
  /**
   * @param examples indices of a batch, u32[N]
   * @param draw the step's noise
   * @returns the same examples in the order in which row after row of the noise meets them
   */
  pair(examples: Uint32Array<ArrayBuffer>, draw: NoiseDraw): Uint32Array<ArrayBuffer>;
}

/** Noise and data are drawn apart from each other. */
export const independentCoupling: Coupling = { pair: (examples) => examples };

/** The couplings by name. */
export const couplings = {
  independent: { doc: "noise and data are drawn apart", settings: {}, make: () => independentCoupling },
} as const;
