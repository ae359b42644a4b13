import { maxPool2d, relu, reshape, ShapeError, type Tensor } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import type { Initialiser } from "../nn/initialiser.ts";
import { Conv2d, Linear } from "../nn/layers.ts";
import { Module } from "../nn/module.ts";

/** Size of a classifier. */
export interface ClassifierOptions {
  /** Number of classes, at least 2. */
  readonly classes: number;
  /** Channels of the images. */
  readonly channels: number;
  /** Height in pixels. */
  readonly height: number;
  /** Width in pixels. */
  readonly width: number;
}

/** Output of a classifier. */
export interface Classified {
  /** Unnormalised log-probabilities, f32[N, classes]. */
  readonly logits: Tensor;
  /** The last hidden layer, after ReLU, f32[N, 84]. */
  readonly features: Tensor;
}

/** Channels of the convolutions, outermost first. */
const filters = [16, 32, 64];

/** Width of the last hidden layer, as in LeNet-5. */
export const featureCount = 84;

/**
 * A small image classifier: three 3x3 convolutions with ReLU and 2x2 max pooling, a layer of 84 features, and one logit
 * per class. Pooling stops once a side is a single pixel.
 *
 * Source: LeCun et al. 1998, Gradient-based learning applied to document recognition, with 3x3 kernels and ReLU
 */
export class Classifier extends Module {
  /** 3x3 convolutions, outermost first. */
  readonly convs: readonly Conv2d[];
  /** Maps the last level to the features. */
  readonly hidden: Linear;
  /** Maps the features to the logits. */
  readonly last: Linear;
  readonly #image: readonly number[];

  /** Makes the layers. @throws {RangeError} if a size is not a positive integer, or there are fewer than two classes */
  constructor({ classes, channels, height, width }: ClassifierOptions, initialiser: Initialiser) {
    super();
    checkCount("make a classifier", "classes", classes, 2);
    for (const [name, size] of Object.entries({ channels, height, width })) {
      checkCount("make a classifier", name, size);
    }
    this.convs = filters.map((K, level) => new Conv2d(filters[level - 1] ?? channels, K, 3, initialiser));
    const [h, w] = filters.reduce(pooled, [height, width]);
    this.hidden = new Linear(filters.at(-1)! * h * w, featureCount, initialiser);
    this.last = new Linear(featureCount, classes, initialiser);
    this.#image = [channels, height, width];
  }

  /** f32[N, C, H, W] -> logits and features. @throws {ShapeError} if x does not hold images of the classifier's size */
  forward(x: Tensor): Classified {
    const [N, ...image] = x.shape;
    if (image.length !== 3 || image.some((length, axis) => length !== this.#image[axis])) {
      throw new ShapeError(`Cannot classify ${x} (expected f32[N, ${this.#image.join(", ")}])`);
    }
    let y = x;
    for (const conv of this.convs) {
      y = conv.forward(y);
      if (canPool(y.shape.slice(2))) y = maxPool2d(y);
      y = relu(y); // after pooling: same result, a quarter of the work
    }
    const features = relu(this.hidden.forward(reshape(y, [N, y.size / N])));
    return { features, logits: this.last.forward(features) };
  }
}

function canPool(size: readonly number[]): boolean {
  return size.every((length) => length >= 2);
}

function pooled(size: readonly number[]): readonly number[] {
  return canPool(size) ? size.map((length) => Math.floor(length / 2)) : size;
}
