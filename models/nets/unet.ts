import {
  add,
  concat,
  gelu,
  maxPool2d,
  resizeBilinear,
  ShapeError,
  subtract,
  type Tensor,
  zeros,
} from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { LabelEmbedding, StepEmbedding, TimeEmbedding } from "../nn/embeddings.ts";
import type { Initialiser } from "../nn/initialiser.ts";
import { Attention, Conv2d, ConvTranspose2d, GroupNorm, Linear } from "../nn/layers.ts";
import { Module } from "../nn/module.ts";
import type { UNetOptions } from "./options.ts";

/**
 * What both U-Nets share: they take times and, by their options, labels, lengths of steps and guidance. Fields have the
 * names and the order of PyTorch's parameters.
 */
abstract class ConditionedUNet extends Module implements VelocityField {
  abstract readonly time_mlp: TimeEmbedding;
  declare readonly label_emb?: LabelEmbedding;
  declare readonly step_mlp?: StepEmbedding;
  declare readonly guidance_mlp?: StepEmbedding;
  declare readonly meanVelocity?: VelocityField["meanVelocity"];
  declare readonly maxGuidance?: VelocityField["maxGuidance"];

  /** Adds the layers of the conditions, after all others. */
  protected addConditions(options: UNetOptions, initialiser: Initialiser): void {
    const { classes, flowMap, maxGuidance } = options;
    const mean: VelocityField["meanVelocity"] = (xt, t, ...rest) =>
      this.output(xt, this.embed(xt, t, ...rest));
    Object.assign(this, {
      ...classes > 0 && { label_emb: new LabelEmbedding(options, initialiser) },
      ...flowMap && { step_mlp: new StepEmbedding(options, initialiser), meanVelocity: mean },
      ...maxGuidance > 1 && { guidance_mlp: new StepEmbedding(options, initialiser), maxGuidance },
    });
  }

  /** The output at images xt f32[N, C, H, W], for an embedding f32[N, T]. */
  protected abstract output(xt: Tensor, embedding: Tensor): Tensor;

  /**
   * The velocity at xt f32[N, C, H, W] and t f32[N]. The condition of a network with classes is labels u32[N], by
   * default all "none".
   */
  velocity(xt: Tensor, t: Tensor, condition?: Tensor): Tensor {
    return this.output(xt, this.embed(xt, t, undefined, condition));
  }

  /**
   * Embeds times, labels, lengths of steps and guidance, for all levels; a scalar would broadcast.
   *
   * @param d f32[N] of a flow map, by default 0
   * @param guidance f32[N] of a flow map that takes it as an input, by default 1
   */
  protected embed(xt: Tensor, t: Tensor, d?: Tensor, condition?: Tensor, guidance?: Tensor): Tensor {
    const N = xt?.shape?.slice(0, 1);
    checkTensor("run a U-Net", "x is", xt);
    checkTensor("run a U-Net", "t is", t, N);
    if (d) checkTensor("run a U-Net", "d is", d, N);
    if (guidance) checkTensor("run a U-Net", "guidance is", guidance, N);
    let embedding = this.time_mlp.forward(t);
    if (this.step_mlp) embedding = add(embedding, this.step_mlp.forward(d ?? zeros(N)));
    if (this.guidance_mlp) {
      embedding = add(embedding, this.guidance_mlp.forward(guidance ? subtract(guidance, 1) : zeros(N)));
    } else if (guidance) refuse(TypeError, "use the guidance: the network does not take it as an input");
    if (this.label_emb) return this.label_emb.forward(embedding, condition);
    if (!condition) return embedding;
    const why = "the network was made without one";
    refuse(TypeError, `use the condition ${condition}: ${why}`, "a network with classes");
  }
}

/**
 * The levels of an encoder after the first, pooled to the size of the innermost one: features of an image.
 *
 * @returns f32[N, K, h, w] each, outermost first
 */
function innerLevels(
  { x, skips }: { readonly x: Tensor; readonly skips: readonly Tensor[] },
): Tensor[] {
  const inner = skips.slice(1).map((skip) => {
    let pooled = skip;
    while (pooled.shape[2] > x.shape[2]) pooled = maxPool2d(pooled);
    return pooled;
  });
  return [...inner, x];
}

/**
 * Runs the encoder of a U-Net, whose level i has half the size of the one before. Returns the image of the innermost
 * level, and the skips of the others, outermost first.
 */
function descend(
  xt: Tensor,
  levels: number,
  level: (x: Tensor, i: number) => Tensor,
): { x: Tensor; skips: Tensor[] } {
  const least = 2 ** (levels - 1); // halved at every level after the first
  if (xt.shape.length !== 4 || Math.min(xt.shape[2], xt.shape[3]) < least) {
    const expected = `f32[N, C, H, W] with H and W at least ${least}`;
    refuse(ShapeError, `run a U-Net of ${levels} levels on ${xt}`, expected);
  }
  const skips: Tensor[] = [];
  let x = level(xt, 0);
  for (let i = 1; i < levels; i++) {
    skips.push(x);
    x = level(maxPool2d(x), i);
  }
  return { x, skips };
}

/** Upsamples by two, resizes to the skip if sizes differ, concatenates both and convolves. */
class Up extends Module {
  readonly upsample: ConvTranspose2d;
  readonly convskip: Conv2d;

  /** From `inputs` channels to `outputs`, the channels of the skip. */
  constructor(inputs: number, outputs: number, initialiser: Initialiser) {
    super();
    this.upsample = new ConvTranspose2d(inputs, outputs, initialiser);
    this.convskip = new Conv2d(2 * outputs, outputs, 3, initialiser);
  }

  /** f32[N, C, h, w] and the skip f32[N, K, H, W] -> f32[N, K, H, W]; `shift` f32[N, K] is added to every pixel. */
  join(x: Tensor, skip: Tensor, shift?: Tensor): Tensor {
    const [, , H, W] = skip.shape;
    const up = resizeBilinear(this.upsample.forward(x), H, W);
    return this.convskip.forward(concat([up, skip], 1), shift && { shift });
  }
}

/** Channels of a U-Net's levels, outermost first: those of the level's input, and its own. */
function widthsOf({ filters, channels }: UNetOptions): [outer: number, width: number][] {
  return filters.map((width, i) => [filters[i - 1] ?? channels, width]);
}

/**
 * The base U-Net, `UNet_FM`: one convolution and GELU per level, with the time embedding added as a shift per channel.
 *
 * Source: Ronneberger et al. 2015, arXiv:1505.04597
 */
export class UNet extends ConditionedUNet {
  readonly time_mlp: TimeEmbedding;
  readonly downs: readonly Conv2d[];
  readonly time_emb_passes: readonly Linear[];
  readonly mid: Attention | undefined;
  readonly ups: readonly Up[];
  readonly time_emb_passes_up: readonly Linear[];
  readonly last: Conv2d;

  /** Makes the layers. */
  constructor(options: UNetOptions, initialiser: Initialiser) {
    super();
    const { filters, tEmb, channels, attn, groups } = options;
    const widths = widthsOf(options);
    const inner = widths.slice(1).reverse();
    this.time_mlp = new TimeEmbedding(options, initialiser);
    this.downs = widths.map(([outer, width]) => new Conv2d(outer, width, 3, initialiser));
    this.time_emb_passes = widths.map(([, width]) => new Linear(tEmb, width, initialiser));
    this.mid = attn ? new Attention(filters[filters.length - 1], groups, initialiser) : undefined;
    this.ups = inner.map(([outer, width]) => new Up(width, outer, initialiser));
    this.time_emb_passes_up = inner.map(([outer]) => new Linear(tEmb, outer, initialiser));
    this.last = new Conv2d(filters[0], channels, 3, initialiser);
    this.addConditions(options, initialiser);
  }

  /** Features of images f32[N, C, H, W] at t f32[N], as {@linkcode ImageEncoder.encode}. */
  encode(images: Tensor, t: Tensor): readonly Tensor[] {
    const down = this.#down(images, this.embed(images, t));
    return this.mid ? [...innerLevels(down), this.mid.forward(down.x)] : innerLevels(down);
  }

  #down(xt: Tensor, embedding: Tensor) {
    return descend(
      xt,
      this.downs.length,
      (x, i) => gelu(this.downs[i].forward(x, { shift: this.time_emb_passes[i].forward(embedding) })),
    );
  }

  protected output(xt: Tensor, embedding: Tensor): Tensor {
    const down = this.#down(xt, embedding);
    let { x } = down;
    if (this.mid) x = this.mid.forward(x);
    this.ups.forEach((up, i) => {
      x = gelu(up.join(x, down.skips.pop()!, this.time_emb_passes_up[i].forward(embedding)));
    });
    return this.last.forward(x);
  }
}

/**
 * Pre-activated residual block with the time embedding added between its convolutions:
 * x + conv2(gelu(gn2(conv1(gelu(gn1(x))) + t_proj(t_emb)))).
 *
 * Source: He et al. 2016, arXiv:1603.05027
 */
class ResidualBlock extends Module {
  readonly gn1: GroupNorm;
  readonly conv1: Conv2d;
  readonly t_proj: Linear;
  readonly gn2: GroupNorm;
  readonly conv2: Conv2d;

  constructor(channels: number, { tEmb, groups }: UNetOptions, initialiser: Initialiser) {
    super();
    this.gn1 = new GroupNorm(groups, channels, initialiser);
    this.conv1 = new Conv2d(channels, channels, 3, initialiser);
    this.t_proj = new Linear(tEmb, channels, initialiser);
    this.gn2 = new GroupNorm(groups, channels, initialiser);
    this.conv2 = new Conv2d(channels, channels, 3, initialiser);
  }

  /** x f32[N, C, H, W] and the time embedding f32[N, T] -> f32[N, C, H, W]. */
  forward(x: Tensor, embedding: Tensor): Tensor {
    const h = this.conv1.forward(this.gn1.forward(x, "gelu"), { shift: this.t_proj.forward(embedding) });
    return this.conv2.forward(this.gn2.forward(h, "gelu"), { residual: x });
  }
}

/** One level of the encoder: a convolution to its number of channels, then a residual block. */
class ResidualDown extends Module {
  readonly conv: Conv2d;
  readonly residual: ResidualBlock;

  constructor(inputs: number, outputs: number, options: UNetOptions, initialiser: Initialiser) {
    super();
    this.conv = new Conv2d(inputs, outputs, 3, initialiser);
    this.residual = new ResidualBlock(outputs, options, initialiser);
  }

  /** x f32[N, C, H, W] and the time embedding f32[N, T] -> f32[N, K, H, W]. */
  forward(x: Tensor, embedding: Tensor): Tensor {
    return this.residual.forward(this.conv.forward(x), embedding);
  }
}

/** One level of the decoder: joins the skip connection, then a residual block. */
class ResidualUp extends Up {
  readonly residual: ResidualBlock;

  constructor(inputs: number, outputs: number, options: UNetOptions, initialiser: Initialiser) {
    super(inputs, outputs, initialiser);
    this.residual = new ResidualBlock(outputs, options, initialiser);
  }

  /** x f32[N, C, h, w], the skip f32[N, K, H, W] and the time embedding f32[N, T] -> f32[N, K, H, W]. */
  forward(x: Tensor, skip: Tensor, embedding: Tensor): Tensor {
    return this.residual.forward(this.join(x, skip), embedding);
  }
}

/** The residual U-Net, `UNet_FM_Residuals`: a residual block with GroupNorm per level. */
export class ResidualUNet extends ConditionedUNet {
  readonly time_mlp: TimeEmbedding;
  readonly downs: readonly ResidualDown[];
  readonly mid_res: ResidualBlock;
  readonly mid_attn: Attention | undefined;
  readonly ups: readonly ResidualUp[];
  readonly last: Conv2d;

  /** Makes the layers. */
  constructor(options: UNetOptions, initialiser: Initialiser) {
    super();
    const { filters, channels, attn, groups } = options;
    const widths = widthsOf(options);
    const middle = filters[filters.length - 1];
    this.time_mlp = new TimeEmbedding(options, initialiser);
    this.downs = widths.map(([outer, width]) => new ResidualDown(outer, width, options, initialiser));
    this.mid_res = new ResidualBlock(middle, options, initialiser);
    this.mid_attn = attn ? new Attention(middle, groups, initialiser) : undefined;
    this.ups = widths.slice(1).reverse().map(([outer, width]) =>
      new ResidualUp(width, outer, options, initialiser)
    );
    this.last = new Conv2d(filters[0], channels, 3, initialiser);
    this.addConditions(options, initialiser);
  }

  /** Features of images f32[N, C, H, W] at t f32[N], as {@linkcode ImageEncoder.encode}. */
  encode(images: Tensor, t: Tensor): readonly Tensor[] {
    const embedding = this.embed(images, t);
    const down = this.#down(images, embedding);
    return [...innerLevels(down), this.#middle(down.x, embedding)];
  }

  #down(xt: Tensor, embedding: Tensor) {
    return descend(xt, this.downs.length, (x, i) => this.downs[i].forward(x, embedding));
  }

  #middle(x: Tensor, embedding: Tensor): Tensor {
    const middle = this.mid_res.forward(x, embedding);
    return this.mid_attn ? this.mid_attn.forward(middle) : middle;
  }

  protected output(xt: Tensor, embedding: Tensor): Tensor {
    const down = this.#down(xt, embedding);
    let x = this.#middle(down.x, embedding);
    for (const up of this.ups) x = up.forward(x, down.skips.pop()!, embedding);
    return this.last.forward(x);
  }
}
