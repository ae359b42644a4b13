import { gelu, type Tensor } from "../../kernels/mod.ts";
import type { Initialiser } from "./initialiser.ts";
import { Linear } from "./layers.ts";
import { Module } from "./module.ts";
import { type TimeEmbeddingName, timeFeatures } from "./time_features.ts";

/**
 * Time embedding Linear(F -> T), GELU, Linear(T -> T) of F features of t, with the field names of a PyTorch Sequential.
 * By default there is one feature, t.
 */
export class TimeEmbedding extends Module {
  /** F -> T. */
  readonly 0: Linear;
  /** T -> T. Number 1 is the GELU. */
  readonly 2: Linear;
  readonly #features: (t: Tensor) => Tensor;

  /** With T = `tEmb` features. @throws {RangeError} if the features of t cannot be that many */
  constructor(
    { tEmb, timeEmbedding = "scalar" }: {
      readonly tEmb: number;
      readonly timeEmbedding?: TimeEmbeddingName;
    },
    initialiser: Initialiser,
  ) {
    super();
    const width = timeFeatures[timeEmbedding].width(tEmb);
    this.#features = (t) => timeFeatures[timeEmbedding].of(t, width);
    this[0] = new Linear(width, tEmb, initialiser);
    this[2] = new Linear(tEmb, tEmb, initialiser);
  }

  /** Times f32[N] in [0, 1] -> f32[N, T]. */
  forward(t: Tensor): Tensor {
    return this[2].forward(gelu(this[0].forward(this.#features(t))));
  }
}
