import { concat, cos, multiply, reshape, sin, type Tensor, tensor, withDevice } from "../../kernels/mod.ts";

/** How t is encoded before the time embedding. */
export interface TimeFeatures {
  /** One line of `--help`. */
  readonly doc: string;
  /** How many features there are for an embedding of T. @throws {RangeError} if T cannot be used */
  width(tEmb: number): number;
  /** Times f32[N] in [0, 1] -> f32[N, width], from device ops only. */
  of(t: Tensor, width: number): Tensor;
}

/** The slowest wave turns once in 2 pi times this many units of 1000 t. */
const longest = 10_000;

/** Names of what a network can see of t. */
export type TimeEmbeddingName = "scalar" | "sinusoidal";

/** What a network sees of t, by name. */
export const timeFeatures: Readonly<Record<TimeEmbeddingName, TimeFeatures>> = {
  scalar: { doc: "t itself", width: () => 1, of: (t) => reshape(t, [t.size, 1]) },
  /**
   * cos(1000 t f) and sin(1000 t f) for T/2 frequencies f from 1 down to about 1/10,000.
   *
   * Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5; cosines first as in Peebles and Xie 2022,
   * arXiv:2212.09748; t times 1000 for the 1000 steps of Ho et al. 2020, arXiv:2006.11239
   */
  sinusoidal: {
    doc: "waves of 1000 t, as in DiT",
    width(tEmb) {
      if (tEmb % 2 === 0) return tEmb;
      throw new RangeError(
        `Cannot make a sinusoidal time embedding of ${tEmb} features (expected an even number)`,
      );
    },
    of(t, width) {
      const half = width / 2;
      const frequencies = Float32Array.from({ length: half }, (_, k) => 1000 * longest ** (-k / half));
      const waves = withDevice(t.device, () => tensor(frequencies, [1, half]));
      const angles = multiply(reshape(t, [t.size, 1]), waves);
      return concat([cos(angles), sin(angles)], 1);
    },
  },
};

/** All names of {@linkcode timeFeatures}. */
export const timeEmbeddingNames: readonly TimeEmbeddingName[] = Object.keys(
  timeFeatures,
) as TimeEmbeddingName[];
