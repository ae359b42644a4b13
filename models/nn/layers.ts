import {
  add,
  attend,
  conv2d,
  type ConvolutionOptions,
  convTranspose2d,
  divide,
  full,
  groupNorm,
  layerNorm,
  less,
  linear,
  randomUniform,
  reshape,
  type Shape,
  ShapeError,
  type Tensor,
  tensor,
  type TransposedConvolutionOptions,
  where,
  withDevice,
  zeros,
} from "../../kernels/mod.ts";
import { checkCount, describeValue, refuse } from "../../kernels/core/checks.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { geometryOf } from "../../kernels/ops/conv2d/op.ts";
import { whenRun } from "../../kernels/record/record.ts";
import type { NoiseDraw } from "../flow/coupling.ts";
import { rejectUnknown } from "../names.ts";
import { checkedSeed, streams } from "../random.ts";
import { defaultInitialiser, type Initialiser } from "./initialiser.ts";
import { Module } from "./module.ts";

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

  /** From I `inputs` to O `outputs`. */
  constructor(inputs: number, outputs: number, initialiser: Initialiser = defaultInitialiser) {
    super();
    checkSizes("Linear", { inputs, outputs });
    const bound = 1 / Math.sqrt(inputs);
    this.weight = initialiser.uniform([outputs, inputs], bound);
    this.bias = initialiser.uniform([outputs], bound);
  }

  /** f32[..., I] -> f32[..., O]. */
  forward(x: Tensor): Tensor {
    const leading = checkTensor("run a Linear", "x is", x).shape.slice(0, -1);
    if (leading.length === 1) return linear(x, this.weight, this.bias);
    const [outputs, inputs] = this.weight.shape;
    checkWidth("Linear", x, inputs);
    const rows = reshape(x, [sizeOf(leading), inputs]);
    return reshape(linear(rows, this.weight, this.bias), [...leading, outputs]);
  }
}

function checkWidth(layer: string, x: Tensor, width: number): void {
  if (x.shape.at(-1) === width) return;
  refuse(ShapeError, `run a ${layer}: x is ${x}`, `f32[..., ${width}]`);
}

/** Height and width of a kernel: one number for a square, or [height, width]. */
export type KernelSize = number | readonly [height: number, width: number];

/** Both lengths of a kernel. */
function lengthsOf(layer: string, kernel: KernelSize): readonly [number, number] {
  const [R, S] = Array.isArray(kernel) ? kernel : [kernel, kernel];
  checkSizes(layer, { "kernel height": R, "kernel width": S });
  return [R, S];
}

function checkGroups(layer: string, groups: number, channels: readonly number[]): void {
  if (channels.every((count) => count % groups === 0)) return;
  const what = `${groups} groups of ${channels.join(" to ")} channels`;
  refuse(ShapeError, `make a ${layer}: ${what}`, "a divisor of both");
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

  /** From C `inputs` to K `outputs`, with an R x S kernel. */
  constructor(inputs: number, outputs: number, kernel: KernelSize, initialiser?: Initialiser);
  /**
   * The same with options.
   *
   * @param options those of `conv2d`; the padding is half the kernel by default
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

  /** From C `inputs` to K `outputs`, with a 2 x 2 kernel. */
  constructor(inputs: number, outputs: number, initialiser?: Initialiser);
  /**
   * The same with an R x S kernel, and options.
   *
   * @param options those of `convTranspose2d`
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
    const [R, S] = lengthsOf("ConvTranspose2d", kernel);
    const { outputPadding: _, ...moves } = options;
    const { groups } = geometryOf("make a ConvTranspose2d", moves, ["outputPadding"]);
    checkGroups("ConvTranspose2d", groups, [inputs, outputs]);
    this.#options = options;
    const bound = 1 / Math.sqrt(outputs / groups * R * S);
    this.weight = initialiser.uniform([inputs, outputs / groups, R, S], bound);
    this.bias = initialiser.uniform([outputs], bound);
  }

  /** f32[N, C, H, W] -> f32[N, K, P, Q], by default of twice the height and width. */
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

  /** For images of `channels` channels. */
  constructor(groups: number, channels: number, initialiser: Initialiser = defaultInitialiser) {
    super();
    checkSizes("GroupNorm", { groups, channels });
    if (channels % groups !== 0) {
      const why = `${groups} groups do not divide ${channels} channels`;
      refuse(ShapeError, `make a GroupNorm: ${why}; use filters that are multiples of the groups`);
    }
    this.weight = initialiser.constant([channels], 1);
    this.bias = initialiser.constant([channels], 0);
    this.#groups = groups;
  }

  /**
   * f32[N, C, H, W] -> the same shape.
   *
   * @param activation applied to the result in the same kernel
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

  /** For a last axis of `width` elements. */
  constructor(width: number, options: LayerNormOptions = {}, initialiser: Initialiser = defaultInitialiser) {
    super();
    checkSizes("LayerNorm", { width });
    rejectUnknown(options, ["affine", "epsilon"], "a LayerNorm");
    const { affine = true, epsilon = 1e-5 } = options;
    if (!(epsilon >= 0 && epsilon < Infinity)) {
      refuse(RangeError, `make a LayerNorm: epsilon is ${epsilon}`, "a number of at least 0");
    }
    this.weight = affine ? initialiser.constant([width], 1) : undefined;
    this.bias = affine ? initialiser.constant([width], 0) : undefined;
    this.#width = width;
    this.#epsilon = epsilon;
  }

  /** f32[..., width] -> the same shape. */
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

  /** For images of `channels` channels. */
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

  /** f32[N, C, H, W] -> the same shape. */
  forward(x: Tensor): Tensor {
    const [N, C, H, W] = x.shape;
    const h = this.gn.forward(x);
    const [q, k, v] = [this.q, this.k, this.v].map((conv) => reshape(conv.forward(h), [N, C, H * W]));
    const mixed = attend(q, k, v); // [N, C, query]
    return this.final.forward(reshape(mixed, x.shape), { residual: x });
  }
}

/** A step of a {@linkcode Sequential}: a layer, or a function such as `gelu`. */
export type SequentialLayer = ((x: Tensor) => Tensor) | Module & { forward(x: Tensor): Tensor };

/**
 * Layers that run one after another: `new Sequential(new Linear(2, 64), gelu, new Linear(64, 2))`.
 *
 * Named as in PyTorch, where activations count: the layers above are `0` and `2`.
 */
export class Sequential extends Module {
  /** The layers. */
  readonly [n: number]: SequentialLayer;
  readonly #count: number;

  /** From layers in order. */
  constructor(...layers: readonly SequentialLayer[]) {
    super();
    this.#count = layers.length;
    layers.forEach((layer, n) => {
      // A class would pass for a function.
      const isClass = typeof layer === "function" && layer.prototype instanceof Module;
      const fits = typeof layer === "function" ? !isClass : typeof layer?.forward === "function";
      if (fits) return;
      const shown = isClass ? "a class" : describeValue(layer);
      const expected = "a module with forward(x), or a function";
      refuse(TypeError, `make a Sequential: layer ${n} is ${shown}`, expected);
    });
    Object.assign(this, layers);
  }

  /** Runs the layers in order. */
  forward(x: Tensor): Tensor {
    for (let n = 0; n < this.#count; n++) {
      const layer = this[n];
      x = typeof layer === "function" ? layer(x) : layer.forward(x);
    }
    return x;
  }
}

/**
 * The random numbers that layers draw with, and the number of layers that have drawn; undefined while dropout is off.
 */
let active: { readonly draw: () => NoiseDraw; layers: number } | undefined;

/**
 * Turns `Dropout` layers on while a synchronous function computes a loss. `Trainer` and `fit` do this automatically. It
 * may be recorded: what is dropped depends only on the seed, the step and the order of the layers, so that training
 * resumes to the same bits.
 *
 * @param draw called before each run, also of a recorded step: a seed in [0, 2^32) and the number of the step
 *
 * ```ts
 * import { init, record, zeros } from "../../kernels/mod.ts";
 * import { Dropout, withDropout } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const dropout = new Dropout(0.5);
 * let step = 0;
 * const recorded = record(() => withDropout(() => ({ seed: 1, step }), () => dropout.forward(zeros([2, 3]))));
 * for (; step < 10; step++) recorded.run(); // drops different elements in each step
 * ```
 */
export function withDropout<T>(draw: () => NoiseDraw, run: () => T): T {
  const outer = active;
  active = { draw, layers: 0 };
  try {
    return run();
  } finally {
    active = outer;
  }
}

/**
 * Drops elements at random in training, and scales the rest by 1 / (1 - probability). Does nothing outside
 * {@linkcode withDropout}: in sampling, validation and likelihoods.
 *
 * Source: Srivastava et al. 2014, Journal of Machine Learning Research 15
 */
export class Dropout extends Module {
  readonly #probability: number;

  /** Drops each element with a probability. */
  constructor(probability = 0.5) {
    super();
    if (!(probability >= 0 && probability < 1)) {
      refuse(RangeError, `make a Dropout: probability is ${probability}`, "a number from 0 to below 1");
    }
    this.#probability = probability;
  }

  /** f32[...] -> the same shape. */
  forward(x: Tensor): Tensor {
    checkTensor("run a Dropout", "x is", x);
    if (!active || this.#probability === 0) return x;
    const { draw } = active;
    const stream = streams.dropout + active.layers++;
    const key = withDevice(x.device, () => tensor(new Uint32Array(3)));
    whenRun(() => {
      const { seed, step } = draw();
      key.write(Uint32Array.of(checkedSeed(seed), stream, step));
    });
    const isDropped = less(randomUniform(key, x.shape), this.#probability);
    return where(isDropped, 0, divide(x, 1 - this.#probability));
  }
}
