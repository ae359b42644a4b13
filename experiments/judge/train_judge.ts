import { crossEntropy, currentDevice, gradients, randomBits, record, tensor } from "../../kernels/mod.ts";
import {
  BatchOrder,
  Classifier,
  flatten,
  Judge,
  type JudgeInfo,
  namedParameters,
  type Normalization,
  oneCycleSchedule,
  optimizer,
  progressAt,
  randomInitialiser,
  saveJudge,
  stateOf,
  streams,
} from "../../models/mod.ts";
import { firstIndices } from "../data/dataset.ts";
import { MNIST_PACKAGE } from "../data/load_dataset.ts";
import { TrainingError } from "../program/task.ts";
import { pause } from "../../models/pause.ts";
import { digestOf, type JudgedData, type Labelled } from "./data_judge.ts";

/** Default number of training steps. */
export const usualSteps = 6000;
/** Images per step. */
export const batchSize = 64;
/** Scales pixels to [-1, 1]. */
const normalization: Normalization = { scale: 2, shift: -1 };
/** Peak learning rate of AdamW, on a one-cycle schedule. */
const learningRate = 4e-3;
/** Share of the steps in which the rate rises. */
const warmup = 0.2;
/** Steps between reads of the loss. */
const burst = 20;
/** Largest shift of a training image along each axis, in pixels. */
const largestShift = 1;
/** Test images per batch. */
const atOnce = 2000;

/** Options for training a classifier. */
export interface JudgeTrainingOptions {
  readonly steps: number;
  /** Seed of weights, order and shifts, an integer in [0, 2^32). */
  readonly seed: number;
  /** Ends training early. */
  readonly signal?: AbortSignal | undefined;
  /** Called every 20 steps. */
  readonly onProgress?: (step: number, loss: number) => void;
}

/**
 * Trains a judge on the training images, on the current device, and measures its accuracy on the test images. On the
 * CPU device the same options give the same bits.
 *
 * @returns its safetensors file with its metadata; undefined if it was stopped
 */
export async function makeJudge(
  data: JudgedData,
  options: JudgeTrainingOptions,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly info: JudgeInfo } | undefined> {
  const classifier = await trainClassifier(data, options);
  if (!classifier) return undefined;
  const { classes, channels, height, width } = data;
  const { seed, steps } = options;
  const untested: JudgeInfo = {
    classes,
    channels,
    height,
    width,
    normalization,
    dataDigest: await digestOf(data),
    accuracy: 0,
    seed,
    steps,
    command: commandOf(data, options),
  };
  const info = { ...untested, accuracy: await accuracyOf(new Judge(classifier, untested), data.test) };
  if (options.signal?.aborted) return undefined;
  return { bytes: saveJudge(await stateOf(classifier), info), info };
}

/** The command that makes the judge again, without the data's path. */
function commandOf({ name, source }: JudgedData, { steps, seed }: JudgeTrainingOptions): string {
  const quoted = /^[\w.-]+$/.test(name) ? name : JSON.stringify(name);
  const data = source === MNIST_PACKAGE ? "" : ` --data ${quoted}`;
  return `deno task judge${data} --steps ${steps} --seed ${seed} --device ${currentDevice().kind}`;
}

/** Share of images whose most probable class is their label. */
export async function accuracyOf(judge: Judge, { images, labels, count }: Labelled): Promise<number> {
  const P = images.length / count;
  let right = 0;
  for (let from = 0; from < count; from += atOnce) {
    const pixels = Float32Array.from(images.subarray(from * P, (from + atOnce) * P), (byte) => byte / 255);
    const { classes } = verdicts((await judge.judge(pixels)).probabilities, judge.info.classes);
    right += classes.filter((label, n) => label === labels[from + n]).length;
  }
  return right / count;
}

/** The most probable class of each image, with its probability. */
export interface Verdicts {
  /** u32[N] */
  readonly classes: Uint32Array;
  /** f32[N] */
  readonly confidence: Float32Array;
}

/**
 * The most probable class of each image; a tie goes to the first.
 *
 * @param probabilities f32[N, classes]
 */
export function verdicts(probabilities: Float32Array, classes: number): Verdicts {
  const N = probabilities.length / classes;
  const confidence = Float32Array.from(
    { length: N },
    (_, n) => Math.max(...probabilities.subarray(n * classes, (n + 1) * classes)),
  );
  return {
    confidence,
    classes: Uint32Array.from(confidence, (p, n) => probabilities.indexOf(p, n * classes) - n * classes),
  };
}

async function trainClassifier(
  data: JudgedData,
  { steps, seed, signal, onProgress }: JudgeTrainingOptions,
): Promise<Classifier | undefined> {
  const model = new Classifier(data, randomInitialiser(seed));
  const parameters = namedParameters(model);
  const rule = optimizer("adamw", flatten(parameters), { learningRate });
  const batches = classifierBatches(data, batchSize, seed);
  const training = record(() => {
    const loss = crossEntropy(model.forward(batches.x).logits, batches.labels);
    rule.update(gradients(loss, [...parameters.values()]));
    return loss;
  });
  const { learningRate: rateAt } = oneCycleSchedule(learningRate, { warmup });
  while (rule.step < steps) {
    for (let i = 0; i < burst && rule.step < steps; i++) {
      const { step } = rule;
      batches.load(step);
      rule.beforeStep(rateAt(progressAt(step, steps)));
      training.run();
    }
    const [loss] = await training.result.read();
    if (!Number.isFinite(loss)) {
      throw new TrainingError(
        `Cannot train a judge for ${data.name}: the loss is ${loss} after step ${rule.step}; try another --seed`,
      );
    }
    onProgress?.(rule.step, loss);
    await pause();
    if (signal?.aborted) return undefined;
  }
  return model;
}

/**
 * Batches of training images in random order, each image shifted by up to a pixel and filled with black at the border.
 *
 * @param seed of order and shifts, an integer in [0, 2^32)
 * @returns a batch on the device, x f32[N, C, H, W] and labels u32[N], and the function that loads it: the batch of a
 * step depends on seed and step alone
 */
export function classifierBatches(
  { channels: C, height: H, width: W, train }: Pick<JudgedData, "channels" | "height" | "width" | "train">,
  N: number,
  seed: number,
) {
  const { scale, shift: black } = normalization;
  const order = new BatchOrder(firstIndices(train.count), N, seed);
  const seen = Float32Array.from({ length: 256 }, (_, byte) => scale * byte / 255 + black);
  const values = new Float32Array(N * C * H * W);
  const [x, labels] = [tensor(values, [N, C, H, W]), tensor(new Uint32Array(N))];
  /** Writes an image to row n of the batch, shifted by `down` and `right` pixels. */
  const place = (image: number, n: number, down: number, right: number) => {
    const [top, bottom] = [Math.max(0, -down), Math.min(H, H - down)];
    const [left, end] = [Math.max(0, -right), Math.min(W, W - right)];
    for (let c = 0; c < C; c++) {
      for (let h = top; h < bottom; h++) {
        const from = ((image * C + c) * H + h) * W;
        const to = ((n * C + c) * H + h + down) * W + right;
        for (let w = left; w < end; w++) values[to + w] = seen[train.images[from + w]];
      }
    }
  };
  const load = (step: number) => {
    const images = order.batch(step);
    const bits = randomBits(seed, streams.shifts, step, 2 * N);
    const shiftOf = (i: number) => Math.floor(bits[i] * 2 ** -32 * (2 * largestShift + 1)) - largestShift;
    values.fill(black);
    images.forEach((image, n) => place(image, n, shiftOf(2 * n), shiftOf(2 * n + 1)));
    x.write(values);
    labels.write(Uint32Array.from(images, (image) => train.labels[image]));
  };
  return { x, labels, load };
}
