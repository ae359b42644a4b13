import { attend, reshape, type Shape, type Tensor } from "../../kernels/mod.ts";
import type { Initialiser } from "./initialiser.ts";
import { Conv2d, GroupNorm } from "./layers.ts";
import { Module } from "./module.ts";

/**
 * Self-attention over the pixels of an image, one head: x + final(v softmax(q^T k / sqrt(C))^T).
 *
 * `final` starts at zero, so a new block is the identity.
 *
 * Source: Vaswani et al. 2017, arXiv:1706.03762; over pixels: Ho et al. 2020, arXiv:2006.11239
 */
export class Attention extends Module {
  /** Normalises the image before q, k and v. */
  readonly gn: GroupNorm;
  /** Queries, a 1x1 convolution from C to C channels. */
  readonly q: Conv2d;
  /** Keys, 1x1. */
  readonly k: Conv2d;
  /** Values, 1x1. */
  readonly v: Conv2d;
  /** Output projection of the attended values, 1x1, added to the image. */
  readonly final: Conv2d;

  /** For images of `channels` channels. @throws {ShapeError} if `groups` does not divide `channels` */
  constructor(channels: number, groups: number, initialiser: Initialiser) {
    super();
    const { constant } = initialiser;
    const zero = (shape: Shape) => constant(shape, 0);
    this.gn = new GroupNorm(groups, channels, initialiser);
    this.q = new Conv2d(channels, channels, 1, initialiser);
    this.k = new Conv2d(channels, channels, 1, initialiser);
    this.v = new Conv2d(channels, channels, 1, initialiser);
    this.final = new Conv2d(channels, channels, 1, { constant, uniform: zero, normal: zero });
  }

  /** f32[N, C, H, W] -> the same shape. @throws {ShapeError} if x has a different number of channels */
  forward(x: Tensor): Tensor {
    const [N, C, H, W] = x.shape;
    const h = this.gn.forward(x);
    const [q, k, v] = [this.q, this.k, this.v].map((conv) => reshape(conv.forward(h), [N, C, H * W]));
    const mixed = attend(q, k, v, { scale: 1 / Math.sqrt(C) }); // [N, C, query]
    return this.final.forward(reshape(mixed, x.shape), { residual: x });
  }
}
