/**
 * A U-Net of ConvNeXt-like blocks, with depthwise 7x7 convolutions. `deno task train --model examples/convnext.ts`
 * Source: Liu et al. 2022, arXiv:2201.03545
 */
import * as flow from "../mod.ts";
import { blankInitialiser, Conv2d, LabelEmbedding, Module, type Tensor } from "../mod.ts";

export const options = {
  widths: { default: [32, 64, 96], doc: "channels of each level" },
  depth: { default: 1, doc: "blocks of each level, on the way down and on the way up" },
  features: { default: 64, doc: "features of the embedding of t and label" },
};
type Settings = { widths: number[]; depth: number; features: number } & flow.OwnImages;

/** A residual block: a depthwise convolution plus the embedding, normalised, widened and narrowed. */
class Block extends Module {
  constructor(
    K: number,
    features: number,
    readonly depthwise = new Conv2d(K, K, 7, { groups: K }),
    readonly embedding = new flow.Linear(features, K),
    readonly norm = new flow.GroupNorm(1, K),
    readonly widen = new Conv2d(K, 2 * K, 1),
    readonly narrow = new Conv2d(2 * K, K, 1),
  ) {
    super();
  }

  forward(x: Tensor, embedding: Tensor): Tensor {
    const h = this.norm.forward(this.depthwise.forward(x, { shift: this.embedding.forward(embedding) }));
    return this.narrow.forward(flow.gelu(this.widen.forward(h)), { residual: x });
  }
}

const blocks = (depth: number, K: number, features: number) =>
  Array.from({ length: depth }, () => new Block(K, features));
const run = (blocks: readonly Block[], x: Tensor, embedding: Tensor) =>
  blocks.reduce((h, block) => block.forward(h, embedding), x);

export default class ConvNeXt extends Module {
  constructor(
    { widths, depth, features, shape: [C], classes, flowMap }: Settings,
    inner = widths.slice(1).map((K, i) => [widths[i], K]),
    readonly time = new flow.TimeEmbedding({ tEmb: features }),
    readonly steps = flowMap ? new flow.StepEmbedding({ tEmb: features }) : undefined,
    readonly labels = classes > 0 ? new LabelEmbedding({ classes, tEmb: features }) : undefined,
    readonly stem = new Conv2d(C, widths[0], 3),
    readonly down = inner.map(([outer, K]) => new Conv2d(outer, K, 2, { stride: 2, padding: 0 })),
    readonly up = inner.map(([outer, K]) => new flow.ConvTranspose2d(K, outer)),
    readonly joins = inner.map(([outer]) => new Conv2d(2 * outer, outer, 1)),
    readonly encoder = widths.map((K) => blocks(depth, K, features)),
    readonly decoder = inner.map(([outer]) => blocks(depth, outer, features)),
    readonly last = new Conv2d(widths[0], C, 3, blankInitialiser),
  ) {
    super();
  }

  encode(x: Tensor, t: Tensor, embedding = this.time.forward(t)): Tensor[] {
    const levels = [run(this.encoder[0], this.stem.forward(x), embedding)];
    this.down.forEach((down, i) => levels.push(run(this.encoder[i + 1], down.forward(levels[i]), embedding)));
    return levels;
  }

  velocity(x: Tensor, t: Tensor, labels?: Tensor, d?: Tensor): Tensor {
    const time = d ? flow.add(this.time.forward(t), this.steps!.forward(d)) : this.time.forward(t);
    const embedding = this.labels ? this.labels.forward(time, labels) : time;
    const levels = this.encode(x, t, embedding);
    let h = levels.pop()!;
    for (const [i, skip] of [...levels.entries()].reverse()) {
      const larger = flow.resizeBilinear(this.up[i].forward(h), skip.shape[2], skip.shape[3]);
      h = run(this.decoder[i], this.joins[i].forward(flow.concat([larger, skip], 1)), embedding);
    }
    return this.last.forward(h);
  }

  meanVelocity(x: Tensor, t: Tensor, d: Tensor, labels?: Tensor): Tensor {
    return this.velocity(x, t, labels, d);
  }
}
