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
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { LabelEmbedding, StepEmbedding, TimeEmbedding } from "../nn/embeddings.ts";
import type { Initialiser } from "../nn/initialiser.ts";
import { Attention, Conv2d, ConvTranspose2d, GroupNorm, Linear } from "../nn/layers.ts";
import { Module } from "../nn/module.ts";
import type { UNetOptions } from "./options.ts";

/** Upsamples by two, resizes to the skip if sizes differ, concatenates both and convolves. */
export class Up extends Module {
  /** Doubles height and width. */
  readonly upsample: ConvTranspose2d;
  /** 3x3 convolution of the upsampled image and the skip. */
  readonly convskip: Conv2d;

  /** From `inputs` channels to `outputs`, the channels of the skip. */
  constructor(inputs: number, outputs: number, initialiser: Initialiser) {
    super();
    this.upsample = new ConvTranspose2d(inputs, outputs, initialiser);
    this.convskip = new Conv2d(2 * outputs, outputs, 3, initialiser);
  }

  /**
   * f32[N, C, h, w] and the skip f32[N, K, H, W] -> f32[N, K, H, W].
   *
   * @param shift f32[N, K], added to every pixel
   */
  join(x: Tensor, skip: Tensor, shift?: Tensor): Tensor {
    const [, , H, W] = skip.shape;
    const up = resizeBilinear(this.upsample.forward(x), H, W);
    return this.convskip.forward(concat([up, skip], 1), shift && { shift });
  }
}

/**
 * The base U-Net, `UNet_FM`: one convolution and GELU per level, with the time embedding added.
 *
 * Source: Ronneberger et al. 2015, arXiv:1505.04597
 */
export class UNet extends Module implements VelocityField {
  /** Embeds t for all levels. */
  readonly time_mlp: TimeEmbedding;
  /** Convolutions of the encoder, outermost first, 3x3. */
  readonly downs: readonly Conv2d[];
  /** Map the time embedding to a shift per channel, for each level of the encoder. */
  readonly time_emb_passes: readonly Linear[];
  /** Attention at the innermost level, if enabled. */
  readonly mid: Attention | undefined;
  /** Levels of the decoder, innermost first. */
  readonly ups: readonly Up[];
  /** Map the time embedding to a shift per channel, for each level of the decoder. */
  readonly time_emb_passes_up: readonly Linear[];
  /** 3x3 convolution from the outermost level to the image's channels. */
  readonly last: Conv2d;
  /** Embeds labels, if there are classes. */
  readonly label_emb: LabelEmbedding | undefined;
  /** Embeds the length of a step, in a flow map. */
  readonly step_mlp: StepEmbedding | undefined;
  /** Embeds the guidance, in a flow map that takes it as an input. */
  readonly guidance_mlp: StepEmbedding | undefined;
  /** The mean velocity of a flow map, as {@linkcode VelocityField.meanVelocity}. */
  readonly meanVelocity: VelocityField["meanVelocity"];
  /** The largest guidance that it takes as an input, as {@linkcode VelocityField.maxGuidance}. */
  readonly maxGuidance: VelocityField["maxGuidance"];

  /** Makes the layers. @throws {ShapeError} if attention is enabled and the groups do not divide the last filters */
  constructor(options: UNetOptions, initialiser: Initialiser) {
    super();
    const { filters, tEmb, channels, attn, groups } = options;
    const widths = filters.map((width, i) => [filters[i - 1] ?? channels, width]);
    const inner = widths.slice(1).reverse();
    this.time_mlp = new TimeEmbedding(options, initialiser);
    this.downs = widths.map(([outer, width]) => new Conv2d(outer, width, 3, initialiser));
    this.time_emb_passes = widths.map(([, width]) => new Linear(tEmb, width, initialiser));
    this.mid = attn ? new Attention(filters[filters.length - 1], groups, initialiser) : undefined;
    this.ups = inner.map(([outer, width]) => new Up(width, outer, initialiser));
    this.time_emb_passes_up = inner.map(([outer]) => new Linear(tEmb, outer, initialiser));
    this.last = new Conv2d(filters[0], channels, 3, initialiser);
    this.label_emb = options.classes > 0 ? new LabelEmbedding(options, initialiser) : undefined;
    this.step_mlp = options.flowMap ? new StepEmbedding(options, initialiser) : undefined;
    if (options.flowMap) this.meanVelocity = (xt, t, d, ...rest) => this.#output(xt, t, d, ...rest);
    if (options.maxGuidance > 1) {
      this.guidance_mlp = new StepEmbedding(options, initialiser);
      this.maxGuidance = options.maxGuidance;
    }
  }

  /**
   * The velocity at xt f32[N, C, H, W] and t f32[N]. The condition of a network with classes is labels u32[N], by
   * default all "none".
   *
   * @throws {ShapeError} if channels, times or labels do not match, or the image is too small for the levels
   * @throws {TypeError} if a condition is given to a network without classes
   */
  velocity(xt: Tensor, t: Tensor, condition?: Tensor): Tensor {
    return this.#output(xt, t, undefined, condition);
  }

  /** Features of images f32[N, C, H, W] at t f32[N], as {@linkcode ImageEncoder.encode}. */
  encode(images: Tensor, t: Tensor): readonly Tensor[] {
    const down = this.#down(images, embed(this, images, t, undefined));
    return this.mid ? [...innerLevels(down), this.mid.forward(down.x)] : innerLevels(down);
  }

  #down(xt: Tensor, embedding: Tensor) {
    return descend(
      xt,
      this.downs.length,
      (x, i) => gelu(this.downs[i].forward(x, { shift: this.time_emb_passes[i].forward(embedding) })),
    );
  }

  #output(xt: Tensor, t: Tensor, d?: Tensor, condition?: Tensor, guidance?: Tensor): Tensor {
    const embedding = embed(this, xt, t, condition, d, guidance);
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
 * The levels of an encoder after the first, pooled to the size of the innermost one: features of an image.
 *
 * @returns f32[N, K, h, w] each, outermost first
 */
export function innerLevels(
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
 *
 * @throws {ShapeError} if the image is too small for the levels
 */
export function descend(
  xt: Tensor,
  levels: number,
  level: (x: Tensor, i: number) => Tensor,
): { x: Tensor; skips: Tensor[] } {
  const least = 2 ** (levels - 1); // halved at every level after the first
  if (xt.shape.length !== 4 || Math.min(xt.shape[2], xt.shape[3]) < least) {
    throw new ShapeError(
      `Cannot run a U-Net of ${levels} levels on ${xt} (expected f32[N, C, H, W] with H and W at least ${least})`,
    );
  }
  const skips: Tensor[] = [];
  let x = level(xt, 0);
  for (let i = 1; i < levels; i++) {
    skips.push(x);
    x = level(maxPool2d(x), i);
  }
  return { x, skips };
}

/**
 * Embeds times, labels, lengths of steps and guidance, for all levels.
 *
 * @param d f32[N] of a flow map, by default 0
 * @param guidance f32[N] of a flow map that takes it as an input, by default 1
 * @throws {ShapeError} unless there is one time, label and length per image; a scalar would broadcast
 * @throws {TypeError} if a condition is given to a network without classes
 */
export function embed(
  { time_mlp, label_emb, step_mlp, guidance_mlp }: Pick<
    UNet,
    "time_mlp" | "label_emb" | "step_mlp" | "guidance_mlp"
  >,
  xt: Tensor,
  t: Tensor,
  condition: Tensor | undefined,
  d?: Tensor,
  guidance?: Tensor,
): Tensor {
  const N = xt?.shape?.slice(0, 1);
  checkTensor("run a U-Net", "x is", xt);
  checkTensor("run a U-Net", "t is", t, N);
  if (d) checkTensor("run a U-Net", "d is", d, N);
  if (guidance) checkTensor("run a U-Net", "guidance is", guidance, N);
  let embedding = time_mlp.forward(t);
  if (step_mlp) embedding = add(embedding, step_mlp.forward(d ?? zeros(N)));
  if (guidance_mlp) {
    embedding = add(embedding, guidance_mlp.forward(guidance ? subtract(guidance, 1) : zeros(N)));
  } else if (guidance) {
    throw new TypeError("Cannot use the guidance: the network does not take it as an input");
  }
  if (label_emb) return label_emb.forward(embedding, condition);
  if (!condition) return embedding;
  throw new TypeError(
    `Cannot use the condition ${condition}: the network was made without one (expected a network with classes)`,
  );
}

/**
 * Pre-activated residual block with the time embedding added between its convolutions:
 * x + conv2(gelu(gn2(conv1(gelu(gn1(x))) + t_proj(t_emb)))).
 *
 * Source: He et al. 2016, arXiv:1603.05027
 */
export class ResidualBlock extends Module {
  /** Norm before the first convolution. */
  readonly gn1: GroupNorm;
  /** The first convolution, 3x3. */
  readonly conv1: Conv2d;
  /** Maps the time embedding to a shift per channel. */
  readonly t_proj: Linear;
  /** Norm before the second convolution. */
  readonly gn2: GroupNorm;
  /** The second convolution, 3x3. */
  readonly conv2: Conv2d;

  /** For images of `channels` channels. @throws {ShapeError} if `groups` does not divide `channels` */
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
export class ResidualDown extends Module {
  /** 3x3 convolution to the level's channels. */
  readonly conv: Conv2d;
  /** Residual block at the level's channels. */
  readonly residual: ResidualBlock;

  /** From `inputs` channels to `outputs`. @throws {ShapeError} if the groups do not divide `outputs` */
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
export class ResidualUp extends Up {
  /** Residual block at the level's channels. */
  readonly residual: ResidualBlock;

  /** From `inputs` channels to `outputs`. @throws {ShapeError} if the groups do not divide `outputs` */
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
export class ResidualUNet extends Module implements VelocityField {
  /** Embeds t for all levels. */
  readonly time_mlp: TimeEmbedding;
  /** Levels of the encoder, outermost first. */
  readonly downs: readonly ResidualDown[];
  /** Residual block at the innermost level. */
  readonly mid_res: ResidualBlock;
  /** Attention at the innermost level, if enabled. */
  readonly mid_attn: Attention | undefined;
  /** Levels of the decoder, innermost first. */
  readonly ups: readonly ResidualUp[];
  /** 3x3 convolution from the outermost level to the image's channels. */
  readonly last: Conv2d;
  /** Embeds labels, if there are classes. */
  readonly label_emb: LabelEmbedding | undefined;
  /** Embeds the length of a step, in a flow map. */
  readonly step_mlp: StepEmbedding | undefined;
  /** Embeds the guidance, in a flow map that takes it as an input. */
  readonly guidance_mlp: StepEmbedding | undefined;
  /** The mean velocity of a flow map, as {@linkcode VelocityField.meanVelocity}. */
  readonly meanVelocity: VelocityField["meanVelocity"];
  /** The largest guidance that it takes as an input, as {@linkcode VelocityField.maxGuidance}. */
  readonly maxGuidance: VelocityField["maxGuidance"];

  /** Makes the layers. @throws {ShapeError} if the groups do not divide a level's filters */
  constructor(options: UNetOptions, initialiser: Initialiser) {
    super();
    const { filters, channels, attn, groups } = options;
    const widths = filters.map((width, i) => [filters[i - 1] ?? channels, width]);
    const middle = filters[filters.length - 1];
    this.time_mlp = new TimeEmbedding(options, initialiser);
    this.downs = widths.map(([outer, width]) => new ResidualDown(outer, width, options, initialiser));
    this.mid_res = new ResidualBlock(middle, options, initialiser);
    this.mid_attn = attn ? new Attention(middle, groups, initialiser) : undefined;
    this.ups = widths.slice(1).reverse().map(([outer, width]) =>
      new ResidualUp(width, outer, options, initialiser)
    );
    this.last = new Conv2d(filters[0], channels, 3, initialiser);
    this.label_emb = options.classes > 0 ? new LabelEmbedding(options, initialiser) : undefined;
    this.step_mlp = options.flowMap ? new StepEmbedding(options, initialiser) : undefined;
    if (options.flowMap) this.meanVelocity = (xt, t, d, ...rest) => this.#output(xt, t, d, ...rest);
    if (options.maxGuidance > 1) {
      this.guidance_mlp = new StepEmbedding(options, initialiser);
      this.maxGuidance = options.maxGuidance;
    }
  }

  /**
   * The velocity at xt f32[N, C, H, W] and t f32[N]. The condition of a network with classes is labels u32[N], by
   * default all "none".
   *
   * @throws {ShapeError} if channels, times or labels do not match, or the image is too small for the levels
   * @throws {TypeError} if a condition is given to a network without classes
   */
  velocity(xt: Tensor, t: Tensor, condition?: Tensor): Tensor {
    return this.#output(xt, t, undefined, condition);
  }

  /** Features of images f32[N, C, H, W] at t f32[N], as {@linkcode ImageEncoder.encode}. */
  encode(images: Tensor, t: Tensor): readonly Tensor[] {
    const embedding = embed(this, images, t, undefined);
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

  #output(xt: Tensor, t: Tensor, d?: Tensor, condition?: Tensor, guidance?: Tensor): Tensor {
    const embedding = embed(this, xt, t, condition, d, guidance);
    const down = this.#down(xt, embedding);
    let x = this.#middle(down.x, embedding);
    for (const up of this.ups) x = up.forward(x, down.skips.pop()!, embedding);
    return this.last.forward(x);
  }
}
