import { gelu, reshape, type Tensor } from "../../kernels/mod.ts";
import type { Initialiser } from "./initialiser.ts";
import { Linear } from "./layers.ts";
import { Module } from "./module.ts";

/** Time embedding Linear(1 -> T), GELU, Linear(T -> T), with the field names of a PyTorch Sequential. */
export class TimeEmbedding extends Module {
  /** 1 -> T. */
  readonly 0: Linear;
  /** T -> T. Number 1 is the GELU. */
  readonly 2: Linear;

  /** With T = `tEmb` features. */
  constructor({ tEmb }: { readonly tEmb: number }, initialiser: Initialiser) {
    super();
    this[0] = new Linear(1, tEmb, initialiser);
    this[2] = new Linear(tEmb, tEmb, initialiser);
  }

  /** Times f32[N] in [0, 1] -> f32[N, T]. */
  forward(t: Tensor): Tensor {
    return this[2].forward(gelu(this[0].forward(reshape(t, [t.size, 1]))));
  }
}
