import { averagePool2d, maxPool2d, relu, reshape, ShapeError, type Tensor } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import type { Initialiser } from "../nn/initialiser.ts";
import { Conv2d, Linear } from "../nn/layers.ts";
import { Module } from "../nn/module.ts";

/** The name of a judge, and of its classifier's design. */
export type JudgeName = "lenet" | "vgg";

/** A classifier's levels, outermost first. */
interface Design {
  /** Channels of each level's 3x3 convolutions. */
  readonly filters: readonly (readonly number[])[];
  /** Applies ReLU, and halves height and width, at the end of a level. */
  pool(x: Tensor): Tensor;
  /** Number of kinds of faults whose strength it estimates, besides the class. */
  readonly faults: number;
}

/** The designs of classifiers, by the name of a judge that has it. */
const designs: Readonly<Record<JudgeName, Design>> = {
  lenet: { filters: [[16], [32], [64]], pool: (x) => relu(maxPool2d(x)), faults: 0 }, // relu on a quarter
  vgg: { filters: [[8, 8], [16, 16], [32, 32]], pool: (x) => averagePool2d(relu(x), 2), faults: 2 },
};

/** All names of judges; judges made before version 0.10, whose files have no name, have the first. */
export const judgeNames: readonly JudgeName[] = Object.keys(designs) as JudgeName[];

/** Size and design of a classifier. */
export interface ClassifierOptions {
  /** Number of classes, at least 2. */
  readonly classes: number;
  /** Channels of the images. */
  readonly channels: number;
  /** Height in pixels. */
  readonly height: number;
  /** Width in pixels. */
  readonly width: number;
  /** Its design: by default `lenet`. */
  readonly name?: JudgeName;
}

/** Output of a classifier. */
export interface Classified {
  /** Unnormalised log-probabilities, f32[N, classes]. */
  readonly logits: Tensor;
  /** The last hidden layer, after ReLU, f32[N, 84]. */
  readonly features: Tensor;
  /** Strength of blur and of grain, 0 for none, f32[N, 2]; only of `vgg`. */
  readonly faults?: Tensor;
}

/** Width of the last hidden layer, as in LeNet-5. */
export const featureCount = 84;

/**
 * A small image classifier: levels of 3x3 convolutions with ReLU and 2x2 pooling, a layer of 84 features, and one logit
 * per class. Pooling stops once a side is a single pixel.
 *
 * `lenet` has three convolutions of 16, 32 and 64 channels, each with max pooling. `vgg` has three pairs of 8, 16 and
 * 32 channels with average pooling, and also estimates from the features how blurred and how grainy an image is.
 *
 * Source: LeCun et al. 1998, Gradient-based learning applied to document recognition, with 3x3 kernels and ReLU;
 * Simonyan and Zisserman 2014, arXiv:1409.1556 (several convolutions at each level)
 */
export class Classifier extends Module {
  /** 3x3 convolutions, outermost first. */
  readonly convs: readonly Conv2d[];
  /** Maps the last level to the features. */
  readonly hidden: Linear;
  /** Maps the features to the logits. */
  readonly last: Linear;
  /** Maps the features to the strengths of faults. */
  readonly faults?: Linear;
  readonly #design: Design;
  readonly #image: readonly number[];

  /** Makes the layers. @throws {RangeError} if a size is not a positive integer, or there are fewer than two classes */
  constructor(
    { classes, channels, height, width, name = "lenet" }: ClassifierOptions,
    initialiser: Initialiser,
  ) {
    super();
    checkCount("make a classifier", "classes", classes, 2);
    for (const [name, size] of Object.entries({ channels, height, width })) {
      checkCount("make a classifier", name, size);
    }
    this.#design = designs[name];
    const { filters, faults } = this.#design;
    const counts = [channels, ...filters.flat()];
    this.convs = counts.slice(1).map((K, i) => new Conv2d(counts[i], K, 3, initialiser));
    const [h, w] = filters.reduce(pooled, [height, width]);
    this.hidden = new Linear(counts.at(-1)! * h * w, featureCount, initialiser);
    this.last = new Linear(featureCount, classes, initialiser);
    if (faults > 0) this.faults = new Linear(featureCount, faults, initialiser);
    this.#image = [channels, height, width];
  }

  /** f32[N, C, H, W] -> logits and features. @throws {ShapeError} if x does not hold images of the classifier's size */
  forward(x: Tensor): Classified {
    const [N, ...image] = x.shape;
    if (image.length !== 3 || image.some((length, axis) => length !== this.#image[axis])) {
      throw new ShapeError(`Cannot classify ${x} (expected f32[N, ${this.#image.join(", ")}])`);
    }
    const convs = this.convs.values();
    let y = x;
    for (const level of this.#design.filters) {
      level.forEach((_, i) => {
        y = convs.next().value!.forward(i > 0 ? relu(y) : y);
      });
      y = canPool(y.shape.slice(2)) ? this.#design.pool(y) : relu(y);
    }
    const features = relu(this.hidden.forward(reshape(y, [N, y.size / N])));
    return {
      features,
      logits: this.last.forward(features),
      ...this.faults && { faults: this.faults.forward(features) },
    };
  }
}

function canPool(size: readonly number[]): boolean {
  return size.every((length) => length >= 2);
}

function pooled(size: readonly number[]): readonly number[] {
  return canPool(size) ? size.map((length) => Math.floor(length / 2)) : size;
}
