import { gelu, reshape, type Tensor } from "../../kernels/mod.ts";
import type { Initialiser } from "./initialiser.ts";
import { Linear } from "./layers.ts";
import { Module } from "./module.ts";

/** Embedding of the plain time, Linear(1 -> T), GELU, Linear(T -> T); fields are named by place, as in a Sequential. */
export class TimeEmbedding extends Module {
  /** 1 -> T. */
  readonly 0: Linear;
  /** T -> T; GELU is number 1. */
  readonly 2: Linear;

  /** With T = `tEmb` features. */
  constructor({ tEmb }: { readonly tEmb: number }, initialiser: Initialiser) {
    super();
    this[0] = new Linear(1, tEmb, initialiser);
    this[2] = new Linear(tEmb, tEmb, initialiser);
  }

  /**
   * Times f32[N] in [0, 1] -> f32[N, T]. The one place where a condition would enter both networks.
   *
   * @throws {TypeError} if there is a condition: the networks have no use for one
   */
  forward(t: Tensor, condition?: Tensor): Tensor {
    if (condition) {
      throw new TypeError(`Cannot use the condition ${condition}: the network was made without one`);
    }
    return this[2].forward(gelu(this[0].forward(reshape(t, [t.size, 1]))));
  }
}
