import {
  add,
  attend,
  conv2d,
  type ConvolutionOptions,
  convTranspose2d,
  full,
  groupNorm,
  layerNorm,
  linear,
  reshape,
  type Shape,
  ShapeError,
  type Tensor,
  type TransposedConvolutionOptions,
  withDevice,
  zeros,
} from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { geometryOf } from "../../kernels/ops/conv2d/conv2d.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { rejectUnknown } from "../names.ts";
import { defaultInitialiser, type Initialiser } from "./initialiser.ts";
import { Module } from "./module.ts";

/** @throws {RangeError} if a size of a layer is not a positive integer */
function checkSizes(layer: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes)) checkCount(`make a ${layer}`, name, size);
}

/**
 * y = x w^T + b.
 *
 * Initialised as in PyTorch: uniform in ±1/sqrt(I).
 */
export class Linear extends Module {
  /** f32[O, I] */
  readonly weight: Tensor;
  /** f32[O] */
  readonly bias: Tensor;

  /** From I `inputs` to O `outputs`. @throws {RangeError} if they are not positive integers */
  constructor(inputs: number, outputs: number, initialiser: Initialiser = defaultInitialiser) {
    super();
    checkSizes("Linear", { inputs, outputs });
    const bound = 1 / Math.sqrt(inputs);
    this.weight = initialiser.uniform([outputs, inputs], bound);
    this.bias = initialiser.uniform([outputs], bound);
  }

  /** f32[..., I] -> f32[..., O]. @throws {ShapeError} if x has a different number of inputs */
  forward(x: Tensor): Tensor {
    const leading = checkTensor("run a Linear", "x is", x).shape.slice(0, -1);
    if (leading.length === 1) return linear(x, this.weight, this.bias);
    const [outputs, inputs] = this.weight.shape;
    checkWidth("Linear", x, inputs);
    const rows = reshape(x, [sizeOf(leading), inputs]);
    return reshape(linear(rows, this.weight, this.bias), [...leading, outputs]);
  }
}

/** @throws {ShapeError} unless the last axis of x has the width of a layer */
function checkWidth(layer: string, x: Tensor, width: number): void {
  if (x.shape.at(-1) === width) return;
  throw new ShapeError(`Cannot run a ${layer}: x is ${x} (expected f32[..., ${width}])`);
}

/** Height and width of a kernel: one number for a square, or [height, width]. */
export type KernelSize = number | readonly [height: number, width: number];

/** Both lengths of a kernel. @throws {RangeError} if one is not a positive integer */
function lengthsOf(layer: string, kernel: KernelSize): readonly [number, number] {
  const [R, S] = Array.isArray(kernel) ? kernel : [kernel, kernel];
  checkSizes(layer, { "kernel height": R, "kernel width": S });
  return [R, S];
}

/** @throws {ShapeError} if groups do not divide the channels */
function checkGroups(layer: string, groups: number, channels: readonly number[]): void {
  if (channels.every((count) => count % groups === 0)) return;
  throw new ShapeError(
    `Cannot make a ${layer}: ${groups} groups of ${
      channels.join(" to ")
    } channels (expected a divisor of both)`,
  );
}

/**
 * Convolution, with PyTorch's options, but half the kernel as zero padding by default, where PyTorch has none: an odd
 * kernel keeps height and width.
 *
 * Initialised as in PyTorch: uniform in ±1/sqrt(C R S / groups).
 */
export class Conv2d extends Module {
  /** f32[K, C / groups, R, S] */
  readonly weight: Tensor;
  /** f32[K] */
  readonly bias: Tensor;
  readonly #options: ConvolutionOptions;

  /** From C `inputs` to K `outputs`, with an R x S kernel. @throws {RangeError} if they are not positive integers */
  constructor(inputs: number, outputs: number, kernel: KernelSize, initialiser?: Initialiser);
  /**
   * The same with options.
   *
   * @param options those of `conv2d`; the padding is half the kernel by default
   * @throws {ShapeError} if an option is out of range, or the groups do not divide inputs and outputs
   */
  constructor(
    inputs: number,
    outputs: number,
    kernel: KernelSize,
    options: ConvolutionOptions,
    initialiser?: Initialiser,
  );
  constructor(
    inputs: number,
    outputs: number,
    kernel: KernelSize,
    given: ConvolutionOptions | Initialiser = {},
    initialiser: Initialiser = defaultInitialiser,
  ) {
    super();
    if ("uniform" in given) [given, initialiser] = [{}, given];
    checkSizes("Conv2d", { inputs, outputs });
    const [R, S] = lengthsOf("Conv2d", kernel);
    const { groups, dilationH, dilationW } = geometryOf("make a Conv2d", given);
    checkGroups("Conv2d", groups, [inputs, outputs]);
    const half = [dilationH * (R - 1) >> 1, dilationW * (S - 1) >> 1] as const;
    this.#options = { ...given, padding: given.padding ?? half };
    const bound = 1 / Math.sqrt(inputs / groups * R * S);
    this.weight = initialiser.uniform([outputs, inputs / groups, R, S], bound);
    this.bias = initialiser.uniform([outputs], bound);
  }

  /**
   * f32[N, C, H, W] -> f32[N, K, P, Q], by default of the same height and width.
   *
   * @param shift f32[N, K], such as a time embedding, added to every pixel
   * @param residual f32[N, K, P, Q], added to the result
   * @throws {ShapeError} if x has a different number of channels, or is smaller than the kernel
   */
  forward(x: Tensor, { shift, residual }: { shift?: Tensor; residual?: Tensor } = {}): Tensor {
    const bias = shift ? add(shift, this.bias) : this.bias;
    return conv2d(x, this.weight, bias, { ...this.#options, ...residual && { residual } });
  }
}

/**
 * Transposed convolution, with PyTorch's options but a stride of 2 by default: a kernel of 2 doubles height and width.
 *
 * Initialised as in PyTorch, where the fan-in counts outputs: uniform in ±1/sqrt(K R S / groups).
 */
export class ConvTranspose2d extends Module {
  /** f32[C, K / groups, R, S] */
  readonly weight: Tensor;
  /** f32[K] */
  readonly bias: Tensor;
  readonly #options: TransposedConvolutionOptions;

  /** From C `inputs` to K `outputs`, with a 2 x 2 kernel. @throws {RangeError} if they are not positive integers */
  constructor(inputs: number, outputs: number, initialiser?: Initialiser);
  /**
   * The same with an R x S kernel, and options.
   *
   * @param options those of `convTranspose2d`
   * @throws {ShapeError} if an option is out of range, or the groups do not divide inputs and outputs
   */
  constructor(
    inputs: number,
    outputs: number,
    kernel: KernelSize,
    options?: TransposedConvolutionOptions,
    initialiser?: Initialiser,
  );
  constructor(
    inputs: number,
    outputs: number,
    kernel: KernelSize | Initialiser = 2,
    options: TransposedConvolutionOptions = {},
    initialiser: Initialiser = defaultInitialiser,
  ) {
    super();
    if (typeof kernel === "object" && "uniform" in kernel) [kernel, initialiser] = [2, kernel];
    checkSizes("ConvTranspose2d", { inputs, outputs });
    const [R, S] = lengthsOf("ConvTranspose2d", kernel), { outputPadding: _, ...moves } = options;
    const { groups } = geometryOf("make a ConvTranspose2d", moves, ["outputPadding"]);
    checkGroups("ConvTranspose2d", groups, [inputs, outputs]);
    this.#options = options;
    const bound = 1 / Math.sqrt(outputs / groups * R * S);
    this.weight = initialiser.uniform([inputs, outputs / groups, R, S], bound);
    this.bias = initialiser.uniform([outputs], bound);
  }

  /**
   * f32[N, C, H, W] -> f32[N, K, P, Q], by default of twice the height and width.
   *
   * @throws {ShapeError} if x has a different number of channels, or an option does not suit its size
   */
  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, this.bias, this.#options);
  }
}

/**
 * Normalises each image's groups of channels to mean 0 and variance 1, then scales and shifts each channel.
 *
 * Source: Wu and He 2018, arXiv:1803.08494
 */
export class GroupNorm extends Module {
  /** f32[C] */
  readonly weight: Tensor;
  /** f32[C] */
  readonly bias: Tensor;
  readonly #groups: number;

  /** For images of `channels` channels. @throws {RangeError | ShapeError} if `groups` does not divide `channels` */
  constructor(groups: number, channels: number, initialiser: Initialiser = defaultInitialiser) {
    super();
    checkSizes("GroupNorm", { groups, channels });
    if (channels % groups !== 0) {
      throw new ShapeError(
        `Cannot make a GroupNorm: ${groups} groups do not divide ${channels} channels; ` +
          `use filters that are multiples of the groups`,
      );
    }
    this.weight = initialiser.constant([channels], 1);
    this.bias = initialiser.constant([channels], 0);
    this.#groups = groups;
  }

  /**
   * f32[N, C, H, W] -> the same shape.
   *
   * @param activation applied to the result in the same kernel
   * @throws {ShapeError} if x has a different number of channels
   */
  forward(x: Tensor, activation: "none" | "gelu" = "none"): Tensor {
    return groupNorm(x, this.weight, this.bias, { groups: this.#groups, epsilon: 1e-5, activation });
  }
}

/** Options of a {@linkcode LayerNorm}. */
export interface LayerNormOptions {
  /** Whether it learns a scale and a shift; by default true. */
  readonly affine?: boolean;
  /** Added to the variance; by default 1e-5. */
  readonly epsilon?: number;
}

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts each of its elements.
 *
 * Initialised as in PyTorch: scale 1, shift 0.
 *
 * Source: Ba et al. 2016, arXiv:1607.06450
 */
export class LayerNorm extends Module {
  /** f32[width], the scale; undefined if the layer is not affine. */
  readonly weight: Tensor | undefined;
  /** f32[width], the shift; undefined if the layer is not affine. */
  readonly bias: Tensor | undefined;
  readonly #width: number;
  readonly #epsilon: number;

  /**
   * For a last axis of `width` elements.
   *
   * @throws {RangeError} if `width` is not a positive integer, or `epsilon` is below 0
   * @throws {TypeError} if an option is unknown
   */
  constructor(width: number, options: LayerNormOptions = {}, initialiser: Initialiser = defaultInitialiser) {
    super();
    checkSizes("LayerNorm", { width });
    rejectUnknown(options, ["affine", "epsilon"], "a LayerNorm");
    const { affine = true, epsilon = 1e-5 } = options;
    if (!(epsilon >= 0 && epsilon < Infinity)) {
      throw new RangeError(
        `Cannot make a LayerNorm: epsilon is ${epsilon} (expected a number of at least 0)`,
      );
    }
    this.weight = affine ? initialiser.constant([width], 1) : undefined;
    this.bias = affine ? initialiser.constant([width], 0) : undefined;
    this.#width = width;
    this.#epsilon = epsilon;
  }

  /** f32[..., width] -> the same shape. @throws {ShapeError} if the last axis of x has another length */
  forward(x: Tensor): Tensor {
    checkWidth("LayerNorm", checkTensor("run a LayerNorm", "x is", x), this.#width);
    const shape = [this.#width];
    return withDevice(x.device, () => {
      const [scale, shift] = [this.weight ?? full(shape, 1), this.bias ?? zeros(shape)];
      return layerNorm(x, scale, shift, { epsilon: this.#epsilon });
    });
  }
}

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
  constructor(channels: number, groups: number, initialiser: Initialiser = defaultInitialiser) {
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
    const mixed = attend(q, k, v); // [N, C, query]
    return this.final.forward(reshape(mixed, x.shape), { residual: x });
  }
}
