import {
  add,
  crossEntropy,
  currentDevice,
  gradients,
  meanSquaredError,
  normals,
  randomBits,
  record,
  tensor,
  uniforms,
} from "../../kernels/mod.ts";
import {
  BatchOrder,
  Classifier,
  flatten,
  fromPixels,
  Judge,
  JudgeError,
  type JudgeInfo,
  type JudgeName,
  namedParameters,
  type Normalization,
  oneCycleSchedule,
  optimizer,
  progressAt,
  randomInitialiser,
  saveJudge,
  stateOf,
  streams,
  toPixels,
} from "../../models/mod.ts";
import { type Dataset, firstIndices, type LabelledImages, splitTest } from "../data/dataset.ts";
import { pixelsOf, rowsOf } from "../data/images.ts";
import { MNIST_PACKAGE } from "../data/load_dataset.ts";
import { TrainingError } from "../cli/task.ts";
import { sha256 } from "../run/run_folder.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { verdicts } from "./measures.ts";

export type Labelled = Required<LabelledImages>;

/** A data set with labels, to train and test a judge on. */
export interface JudgedData extends Dataset {
  readonly train: Labelled;
  readonly test: Labelled;
}

/** Narrows a data set to one with labels of two classes or more. */
export function judgedData(data: Dataset): JudgedData {
  const { train, test, classes } = data;
  if (!train.labels || !test.labels || classes < 2) {
    const why = classes === 1 ? "all its labels are 0" : "it has no labels";
    throw new JudgeError(`Cannot make a judge for ${data.name}: ${why} (expected two classes or more)`);
  }
  return { ...data, train: { ...train, labels: train.labels }, test: { ...test, labels: test.labels } };
}

/** SHA-256 in hex of the training images' digest followed by their labels. */
export function digestOf({ digest, train: { labels } }: JudgedData): Promise<string> {
  const bytes = new Uint8Array(digest.length / 2 + labels.length);
  bytes.set(Uint8Array.fromHex(digest));
  bytes.set(labels, digest.length / 2);
  return sha256(bytes);
}

/**
 * How each judge is trained: its usual steps and seed, the largest shift of an image along each axis in pixels (for small
 * images at most a 14th of their side), and whether a quarter of the images is blurred, and another quarter grainy, and
 * the judge learns to estimate how much.
 */
export const recipes = {
  lenet: { steps: 6000, seed: 46020, shift: 1, faults: false },
  vgg: { steps: 6000, seed: 1, shift: 2, faults: true },
} as const satisfies Record<JudgeName, unknown>;
/** Images per step. */
export const batchSize = 64;
/** With fewer training images, a judge may need less than its recipe. */
const enoughImages = 10_000;
/** Steps of the first rounds of such a training, each with a learning rate that rises and falls; the last takes the rest. */
const rounds = [250, 500, 1000, 2000];
/** Scales pixels to [-1, 1]. */
const normalization: Normalization = { scale: 2, shift: -1 };
/** Peak learning rate of AdamW, on a one-cycle schedule that rises in a fifth of the steps. */
const [learningRate, warmup] = [4e-3, 0.2];
/** Steps between reads of the loss. */
const burst = 20;
/** Test images per batch. */
const atOnce = 2000;

interface JudgeTrainingOptions {
  readonly name: JudgeName;
  /**
   * Number of steps; by default that of the recipe. With less than 10,000 training images the default is an upper limit: a
   * tenth of them is held out, and training stops when a round improves the accuracy there by less than its standard error.
   */
  readonly steps?: number | undefined;
  /** Seed of weights, order, shifts and faults, an integer in [0, 2^32). */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Called every 20 steps, with the step at which training may end. */
  readonly onProgress?: (step: number, loss: number, end: number) => void;
}

/**
 * Trains a judge on the training images, on the current device, and measures its accuracy on the test images. On the
 * CPU device the same options give the same bits.
 *
 * @returns its safetensors file with its metadata; undefined if it was stopped
 */
export async function makeJudge(data: JudgedData, options: JudgeTrainingOptions) {
  const { classes, channels, height, width } = data;
  const { name, seed } = options;
  const untrained: JudgeInfo = {
    ...{ name, classes, channels, height, width, normalization, dataDigest: await digestOf(data) },
    ...{ accuracy: 0, seed, steps: 0, command: commandOf(data, options) },
  };
  const trained = await trainClassifier(data, untrained, options);
  if (!trained) return undefined;
  const { classifier, steps } = trained;
  const accuracy = await accuracyOf(new Judge(classifier, untrained), data.test);
  const info = { ...untrained, steps, accuracy };
  if (options.signal?.aborted) return undefined;
  return { bytes: saveJudge(await stateOf(classifier), info), info };
}

/** The command that trains the judge again, without the data's path. */
function commandOf({ name: data, source }: JudgedData, { name, steps, seed }: JudgeTrainingOptions): string {
  const from = source === MNIST_PACKAGE
    ? ""
    : ` --data ${/^[\w.-]+$/.test(data) ? data : JSON.stringify(data)}`;
  const length = steps === undefined ? "" : ` --steps ${steps}`;
  const flags = `--judge ${name}${from}${length} --seed ${seed} --device ${currentDevice().kind}`;
  return `deno run -A tools/train_judge.ts ${flags}`;
}

/** Share of images whose most probable class is their label. */
export async function accuracyOf(judge: Judge, { images, labels, count }: Labelled): Promise<number> {
  const P = images.length / count;
  let right = 0;
  for (let from = 0; from < count; from += atOnce) {
    const indices = firstIndices(Math.min(atOnce, count - from)).map((n) => from + n);
    const pixels = pixelsOf(images, indices, P);
    const { classes } = verdicts((await judge.judge(pixels)).probabilities, judge.info.classes);
    right += classes.filter((label, n) => label === labels[from + n]).length;
  }
  return right / count;
}

/** Trains a classifier, and tells the steps that it took; undefined if it was stopped. */
async function trainClassifier(
  data: JudgedData,
  info: JudgeInfo,
  { name, steps, seed, signal, onProgress }: JudgeTrainingOptions,
) {
  const { train, heldOut, lengths } = planTraining(data, name, steps);
  const model = new Classifier(info, randomInitialiser(seed));
  const parameters = namedParameters(model);
  const rule = optimizer("adamw", flatten(parameters), { learningRate });
  const batches = classifierBatches({ ...data, train }, batchSize, seed, recipes[name]);
  const training = record(() => {
    const { logits, faults } = model.forward(batches.x);
    const classLoss = crossEntropy(logits, batches.labels);
    const loss = faults ? add(classLoss, meanSquaredError(faults, batches.faults)) : classLoss;
    rule.update(gradients(loss, [...parameters.values()]));
    return loss;
  });
  const { learningRate: rateAt } = oneCycleSchedule(learningRate, { warmup });
  let best = 0;
  for (const length of lengths) {
    const start = rule.step;
    while (rule.step < start + length) {
      for (let i = 0; i < burst && rule.step < start + length; i++) {
        const { step } = rule;
        batches.load(step);
        rule.beforeStep(rateAt(progressAt(step - start, length)));
        training.run();
      }
      const [loss] = await training.result.read();
      if (!Number.isFinite(loss)) {
        throw new TrainingError(
          `Cannot train a judge for ${data.name}: the loss is ${loss} after step ${rule.step}; try another --seed`,
        );
      }
      onProgress?.(rule.step, loss, start + length);
      await yieldToEvents();
      if (signal?.aborted) return undefined;
    }
    if (!heldOut) continue;
    const accuracy = await accuracyOf(new Judge(model, info), heldOut);
    const standardError = Math.sqrt(accuracy * (1 - accuracy) / heldOut.count);
    if (accuracy === 1 || accuracy - best <= standardError) break;
    best = accuracy;
  }
  return { classifier: model, steps: rule.step };
}

/** Whether a training takes rounds, after each of which it may end; not if the number of its steps is given. */
export function takesRounds({ train }: JudgedData, given: number | undefined): boolean {
  return given === undefined && train.count < enoughImages;
}

/** The images that a classifier learns from, the steps of a round, and the images that tell when to stop, if it may. */
function planTraining(data: JudgedData, name: JudgeName, given: number | undefined) {
  const { train } = data;
  const steps = given ?? recipes[name].steps;
  if (!takesRounds(data, given)) return { train, lengths: [steps] };
  const { images, labels } = train;
  const split = splitTest([...labels]);
  const pick = (indices: readonly number[]): Labelled => ({
    images: rowsOf(images, indices, data.channels * data.height * data.width),
    labels: Uint8Array.from(indices, (n) => labels[n]),
    count: indices.length,
  });
  const rest = steps - rounds.reduce((sum, length) => sum + length, 0);
  return { train: pick(split.train), heldOut: pick(split.test), lengths: [...rounds, rest] };
}

/**
 * Standard deviations of blur, in pixels, and of grain, where white is 1, and the strengths that the judge should
 * report for them: each from weakest to strongest. No fault has the strength 0, so even a weak one stands out.
 */
const blur = { sigma: [0.3, 1], strength: [0.4, 1] } as const;
const grain = { sigma: [0, 0.3], strength: [0.3, 1] } as const;

/**
 * Batches of training images in random order, each image shifted and filled with black at the border; with faults, the
 * last quarter of a batch is grainy, and the quarter before it blurred. The last sixteenth is noise, whose labels are
 * random, so that a judge learns to be uncertain there.
 *
 * @param seed of order, shifts and faults, an integer in [0, 2^32)
 * @returns a batch on the device, x f32[N, C, H, W], labels u32[N] and faults f32[N, 2], the strengths of blur and grain
 * from 0 to 1, and the function that loads it: the batch of a step depends only on seed and step
 */
export function classifierBatches(
  data: Pick<JudgedData, "channels" | "height" | "width" | "train">,
  N: number,
  seed: number,
  { shift: largest, faults: hasFaults }: { readonly shift: number; readonly faults: boolean },
) {
  const { channels: C, height: H, width: W, train } = data;
  const P = C * H * W;
  const shift = Math.min(largest, Math.max(1, Math.round(Math.min(H, W) / 14)));
  const { scale, shift: black } = normalization;
  const seen = Float32Array.from({ length: 256 }, (_, byte) => scale * byte / 255 + black);
  const order = new BatchOrder(firstIndices(train.count), N, seed);
  const values = new Float32Array(N * P);
  const [x, labels] = [tensor(values, [N, C, H, W]), tensor(new Uint32Array(N))];
  const strengths = new Float32Array(2 * N);
  const faults = tensor(strengths, [N, 2]);
  /** Writes an image u8[C, H, W] to row n of the batch, shifted by `down` and `right` pixels. */
  const place = (image: Uint8Array, n: number, down: number, right: number) => {
    const [top, bottom] = [Math.max(0, -down), Math.min(H, H - down)];
    const [left, end] = [Math.max(0, -right), Math.min(W, W - right)];
    for (let c = 0; c < C; c++) {
      for (let h = top; h < bottom; h++) {
        const from = (c * H + h) * W;
        const to = ((n * C + c) * H + h + down) * W + right;
        for (let w = left; w < end; w++) values[to + w] = seen[image[from + w]];
      }
    }
  };
  /** Blurs the third quarter of the batch, and makes the last one grainy; a quarter of that is nothing but noise. */
  const damage = (step: number) => {
    const drawn = uniforms(seed, streams.faults, step, N);
    for (let n = Math.ceil(N / 2); n < N; n++) {
      const [isGrainy, isNoise] = [n >= 3 * N / 4, n >= 15 * N / 16];
      const { sigma, strength } = isGrainy ? grain : blur;
      const between = ([low, high]: readonly [number, number]) =>
        low + (high - low) * (isNoise ? 1 : drawn[n]);
      const row = values.subarray(n * P, (n + 1) * P);
      const image = isNoise ? new Float32Array(P).fill(0.5) : toPixels(row, normalization);
      const damaged = isGrainy
        ? grainy(image, isNoise ? 0.5 : between(sigma), seed, (1 + step * N + n) % 2 ** 32)
        : blurred(image, data, between(sigma));
      row.set(fromPixels(damaged, normalization));
      strengths[2 * n + Number(isGrainy)] = between(strength);
    }
    faults.write(strengths);
  };
  const load = (step: number) => {
    const images = order.batch(step);
    const bits = randomBits(seed, streams.shifts, step, 2 * N);
    const shiftOf = (i: number) => Math.floor(bits[i] * 2 ** -32 * (2 * shift + 1)) - shift;
    values.fill(black);
    const rows = rowsOf(train.images, images, P);
    images.forEach((_, n) => place(rows.subarray(n * P, (n + 1) * P), n, shiftOf(2 * n), shiftOf(2 * n + 1)));
    if (hasFaults) damage(step);
    x.write(values);
    labels.write(Uint32Array.from(images, (image) => train.labels[image]));
  };
  return { x, labels, faults, load };
}

/** Blurs images by a Gaussian of standard deviation sigma in pixels, above 0; outside an image is black. */
export function blurred(pixels: Float32Array, size: Pick<Dataset, "height" | "width">, sigma: number) {
  const { height, width } = size;
  const reach = Math.ceil(3 * sigma);
  const heightAt = (i: number) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2));
  const raw = Array.from({ length: 2 * reach + 1 }, (_, i) => heightAt(i));
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  const weights = raw.map((weight) => weight / total);
  /** One pass along an axis, whose pixels are `stride` apart. */
  const along = (x: Float32Array, stride: number, length: number) =>
    x.map((_, i) => {
      const at = Math.floor(i / stride) % length;
      let sum = 0;
      for (let j = Math.max(-reach, -at); j <= Math.min(reach, length - 1 - at); j++) {
        sum += weights[j + reach] * x[i + j * stride];
      }
      return sum;
    });
  return along(along(pixels, 1, width), width, height);
}

/** Adds independent normal noise to every pixel, and clips to [0, 1]; `draw` separates draws of one seed. */
export function grainy(pixels: Float32Array, sigma: number, seed: number, draw: number): Float32Array {
  const noise = normals(seed, streams.faults, draw, pixels.length);
  return pixels.map((value, i) => Math.min(Math.max(value + sigma * noise[i], 0), 1));
}
