/**
 * A diffusion transformer: patches, attention and adaLN-zero. `deno task train --model examples/dit.ts`
 * Source: Peebles and Xie 2022, arXiv:2212.09748
 */
import * as flow from "../mod.ts";
import { add, blankInitialiser, Linear, multiply, permute, reshape, slice, type Tensor } from "../mod.ts";

export const options = {
  patch: { default: 4, doc: "height and width of a patch" },
  width: { default: 96, doc: "features of a patch" },
  depth: { default: 4, doc: "blocks" },
  heads: { default: 4, doc: "heads of the attention" },
};
type Settings = { patch: number; width: number; depth: number; heads: number } & flow.OwnImages;
/** Splits a modulation f32[N, parts D] into parts f32[N, 1, D]. */
const partsOf = (all: Tensor, D: number) =>
  Array.from({ length: all.shape[1] / D }, (_, i) => reshape(slice(all, 1, i * D, D), [all.shape[0], 1, D]));
const modulated = (x: Tensor, shift: Tensor, scale: Tensor) => add(multiply(x, add(scale, 1)), shift);

/** Attention and an MLP on x f32[N, T, D], normalised, modulated by c f32[N, D], and scaled by gates that start at 0. */
class Block extends flow.Module {
  constructor(
    readonly heads: number,
    D: number,
    readonly norm = new flow.LayerNorm(D, { affine: false }),
    readonly modulation = new Linear(D, 6 * D, blankInitialiser),
    readonly qkv = new Linear(D, 3 * D),
    readonly out = new Linear(D, D),
    readonly mlp = new flow.Sequential(new Linear(D, 4 * D), flow.gelu, new Linear(4 * D, D)),
  ) {
    super();
  }

  forward(x: Tensor, c: Tensor): Tensor {
    const [N, T, D] = x.shape;
    const [shift, scale, gate, shift2, scale2, gate2] = partsOf(this.modulation.forward(c), D);
    const all = permute(this.qkv.forward(modulated(this.norm.forward(x), shift, scale)), [0, 2, 1]);
    const shape = [N * this.heads, D / this.heads, T];
    const [q, k, v] = [0, D, 2 * D].map((start) => reshape(slice(all, 1, start, D), shape));
    const mixed = permute(reshape(flow.attend(q, k, v), [N, D, T]), [0, 2, 1]);
    const y = add(x, multiply(gate, this.out.forward(mixed)));
    return add(y, multiply(gate2, this.mlp.forward(modulated(this.norm.forward(y), shift2, scale2))));
  }
}

export default class DiT extends flow.Module {
  constructor(
    { width: D, depth, heads, shape: [C, H, W], classes, flowMap, patch: p }: Settings,
    readonly patches = new flow.Conv2d(C, D, p, { stride: p, padding: 0 }),
    readonly places = new flow.Embedding(Math.floor(H / p) * Math.floor(W / p), D),
    readonly time = new flow.TimeEmbedding({ tEmb: D, timeEmbedding: "sinusoidal" }),
    readonly steps = flowMap ? new flow.StepEmbedding({ tEmb: D }) : undefined,
    readonly labels = classes > 0 ? new flow.LabelEmbedding({ classes, tEmb: D }) : undefined,
    readonly blocks = Array.from({ length: depth }, () => new Block(heads, D)),
    readonly norm = new flow.LayerNorm(D, { affine: false }),
    readonly modulation = new Linear(D, 2 * D, blankInitialiser),
    readonly last = new Linear(D, C * p * p, blankInitialiser),
  ) {
    super();
    if (H % p + W % p > 0) throw new Error(`patch=${p} does not divide ${H} x ${W} pixels`);
    if (D % heads > 0) throw new Error(`heads=${heads} does not divide width=${D}`);
  }

  velocity(x: Tensor, t: Tensor, labels?: Tensor, d?: Tensor): Tensor {
    const time = d ? add(this.time.forward(t), this.steps!.forward(d)) : this.time.forward(t);
    const c = flow.silu(this.labels ? this.labels.forward(time, labels) : time);
    const patches = this.patches.forward(x);
    const [[N, C, H, W], [, D, h, w]] = [x.shape, patches.shape];
    const tokens = add(permute(reshape(patches, [N, D, h * w]), [0, 2, 1]), this.places.weight);
    const y = this.blocks.reduce((y, block) => block.forward(y, c), tokens);
    const [shift, scale] = partsOf(this.modulation.forward(c), D);
    const pixels = this.last.forward(modulated(this.norm.forward(y), shift, scale));
    return reshape(permute(reshape(pixels, [N, h, w, C, H / h, W / w]), [0, 3, 1, 4, 2, 5]), x.shape);
  }

  meanVelocity(x: Tensor, t: Tensor, d: Tensor, labels?: Tensor): Tensor {
    return this.velocity(x, t, labels, d);
  }
}
