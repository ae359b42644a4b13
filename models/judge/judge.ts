import {
  averagePool2d,
  concat,
  maxPool2d,
  planMemory,
  record,
  relu,
  reshape,
  scope,
  ShapeError,
  slice,
  softmax,
  type Tensor,
  tensor,
  UserError,
  withDevice,
} from "../../kernels/mod.ts";
import { checkCount, isCount, refuse } from "../../kernels/core/checks.ts";
import { fromPixels, isNormalization, type Normalization } from "../files/normalization.ts";
import { decodeSafetensors, encodeSafetensors } from "../files/safetensors.ts";
import type { Points } from "../measures/points.ts";
import { blankInitialiser, type Initialiser } from "../nn/initialiser.ts";
import { Conv2d, Linear } from "../nn/layers.ts";
import { checkFinite, checkState, loadState, Module, namedParameters, type State } from "../nn/module.ts";

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

  /** Makes the layers. */
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

  /** f32[N, C, H, W] -> logits and features. */
  forward(x: Tensor): Classified {
    const [N, ...image] = x.shape;
    if (image.length !== 3 || image.some((length, axis) => length !== this.#image[axis])) {
      refuse(ShapeError, `classify ${x}`, `f32[N, ${this.#image.join(", ")}]`);
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

/** Thrown if images cannot be judged, or a file contains no valid judge. */
export class JudgeError extends UserError {
  /** Name of the error. */
  override name = "JudgeError";
}

/** Class probabilities and features of images, in host memory. */
export interface Judgement {
  /** Probability of each class, f32[N, classes]; each row sums to 1. */
  readonly probabilities: Float32Array;
  /** The classifier's last hidden layer, f32[N, 84], not negative, for comparing sets of images. */
  readonly features: Points;
}

const largestBatch = 250;

/** An image classifier, trained separately from the networks whose images it judges. */
export class Judge {
  readonly #classifier: Classifier;

  /** Makes a judge of a trained classifier. */
  constructor(
    classifier: Classifier,
    /** The classifier's size and origin. */
    readonly info: JudgeInfo,
  ) {
    this.#classifier = classifier;
  }

  /**
   * Judges images.
   *
   * @param pixels f32[N, C, H, W] with 0 black and 1 white, N at least 1; not clipped
   */
  async judge(pixels: Float32Array): Promise<Judgement> {
    const rows = this.#countImages(pixels);
    const { probabilities, features } = withDevice(
      this.#classifier.last.bias.device,
      () => scope(() => this.#run(pixels, rows)),
    );
    const [shares, values] = await Promise.all([probabilities.read(), features.read()]);
    return { probabilities: shares, features: { values, rows, width: featureCount } };
  }

  /** Runs one recorded step on each batch. The last batch is padded with black images, whose results are dropped. */
  #run(pixels: Float32Array, rows: number): Record<"probabilities" | "features", Tensor> {
    const { channels, height, width, normalization } = this.info;
    const P = channels * height * width;
    const N = Math.ceil(rows / Math.ceil(rows / largestBatch));
    const x = tensor(new Float32Array(N * P), [N, channels, height, width]);
    const step = record(() => {
      const { logits, features } = this.#classifier.forward(x);
      return { probabilities: softmax(logits), features };
    });
    const parts = Array.from({ length: Math.ceil(rows / N) }, (_, batch) => {
      const images = pixels.subarray(batch * N * P, (batch + 1) * N * P);
      const filled = new Float32Array(N * P);
      filled.set(images);
      x.write(fromPixels(filled, normalization));
      step.run();
      const copy = (values: Tensor) => slice(values, 0, 0, images.length / P);
      return { probabilities: copy(step.result.probabilities), features: copy(step.result.features) };
    });
    return {
      probabilities: concat(parts.map(({ probabilities }) => probabilities), 0),
      features: concat(parts.map(({ features }) => features), 0),
    };
  }

  #countImages(pixels: Float32Array): number {
    const { channels: C, height: H, width: W } = this.info;
    const count = pixels.length / (C * H * W);
    if (count < 1 || !Number.isInteger(count)) {
      refuse(JudgeError, `judge ${pixels.length} pixels`, `images of [${C}, ${H}, ${W}], at least one`);
    }
    const at = pixels.findIndex((pixel) => !Number.isFinite(pixel));
    if (at < 0) return count;
    const problem = `image ${Math.floor(at / (C * H * W))}: a pixel is ${
      pixels[at]
    } (expected finite numbers)`;
    refuse(JudgeError, `judge ${problem}; leave it out, or sample with other weights`);
  }
}

/** Metadata of a judge, stored in its file. */
export interface JudgeInfo extends ClassifierOptions {
  /** The name of the judge, and of its classifier's design. */
  readonly name: JudgeName;
  /** Maps pixels to the network's units. */
  readonly normalization: Normalization;
  /** Digest of the labelled training images, 64 hex digits. */
  readonly dataDigest: string;
  /** Accuracy on the test images, from 0 to 1. */
  readonly accuracy: number;
  /** Seed of the training. */
  readonly seed: number;
  /** Training steps. */
  readonly steps: number;
  /** Command that reproduces the judge. */
  readonly command: string;
}

/** The expected form of a field: for messages, and as a check. */
type Rule = readonly [expected: string, fits: (value: unknown) => boolean];

/** Largest side in pixels and largest number of classes. More would not fit in any device's memory. */
const most = 4096;
const count = (least: number): Rule => [
  `a whole number from ${least} to ${most}`,
  (value) => isCount(value, least, most),
];
const rules: Readonly<Record<keyof JudgeInfo, Rule>> = {
  name: [judgeNames.join(" or "), (value) => judgeNames.some((name) => name === value)],
  classes: count(2),
  channels: count(1),
  height: count(1),
  width: count(1),
  normalization: ["a scale other than 0 and a shift, both finite", isNormalization],
  dataDigest: ["64 hex digits", (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value)],
  accuracy: [
    "a number from 0 to 1",
    (value) => Number.isFinite(value) && Number(value) >= 0 && Number(value) <= 1,
  ],
  seed: ["a whole number of at least 0", (value) => isCount(value)],
  steps: ["a whole number of at least 1", (value) => isCount(value, 1)],
  command: ["text", (value) => typeof value === "string"],
};

/** Parses the metadata of a judge; unknown fields are ignored. */
function readJudgeInfo(text: string, source: string): JudgeInfo {
  let fields: Record<string, unknown>;
  try {
    fields = { name: judgeNames[0], ...Object(JSON.parse(text)) };
  } catch {
    refuse(JudgeError, `load ${source}: its description is not JSON: ${text.slice(0, 60)}`);
  }
  const read = Object.entries(rules).map(([name, [expected, fits]]) => {
    const value = fields[name];
    if (fits(value)) return [name, value];
    const shown = String(JSON.stringify(value)).slice(0, 60);
    refuse(JudgeError, `load ${source}: ${name} of its judge is ${shown}`, `${expected}`);
  });
  return Object.fromEntries(read) as JudgeInfo;
}

const kind = { format_version: "1", network: "Classifier" };

/**
 * Encodes a judge as a safetensors file: the weights of its classifier by name, the rest as metadata.
 *
 * @returns the bytes of the file, the same for the same judge
 */
export function saveJudge(weights: State, info: JudgeInfo): Uint8Array<ArrayBuffer> {
  const judge = JSON.stringify(info);
  readJudgeInfo(judge, "the file that saveJudge() would write");
  return encodeSafetensors(weights, { ...kind, judge });
}

/** Contents of a judge file. */
export interface JudgeFile {
  /** Weights of the classifier by name. */
  readonly tensors: State;
  /** Metadata of the judge. */
  readonly info: JudgeInfo;
}

/**
 * Reads a judge without creating its network. Needs no device.
 *
 * @param bytes the safetensors file
 * @param source name of the file, for messages
 */
export function decodeJudge(bytes: Uint8Array, source: string): JudgeFile {
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  const { format_version: version, network, judge } = metadata;
  if (network !== kind.network || judge === undefined) {
    refuse(JudgeError, `load ${source}: it holds no judge`, `the network ${kind.network}`);
  }
  if (version !== kind.format_version) {
    const shown = String(version).slice(0, 60);
    const why = `its format is ${shown} (expected ${kind.format_version}); use a newer program`;
    refuse(JudgeError, `load ${source}: ${why}`);
  }
  const info = readJudgeInfo(judge, source);
  checkFinite(tensors, source);
  return { tensors, info };
}

/** Loads a judge onto the current device. */
export function loadJudge(bytes: Uint8Array, source: string): Judge {
  const { tensors, info } = decodeJudge(bytes, source);
  // A trace allocates nothing, so a file with wrong sizes costs no memory.
  planMemory(() => checkState(namedParameters(new Classifier(info, blankInitialiser)), tensors, source));
  const classifier = new Classifier(info, blankInitialiser);
  loadState(classifier, tensors, source);
  return new Judge(classifier, info);
}
