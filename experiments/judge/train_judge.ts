import {
  add,
  crossEntropy,
  currentDevice,
  gradients,
  meanSquaredError,
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
  type JudgeInfo,
  type JudgeName,
  judgeNames,
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
import { firstIndices } from "../data/dataset.ts";
import { MNIST_PACKAGE } from "../data/load_dataset.ts";
import { TrainingError } from "../program/task.ts";
import { shared } from "../settings/shared.ts";
import { pause } from "../../models/pause.ts";
import { blurred, grainy } from "./faults.ts";
import { digestOf, type JudgedData, type Labelled } from "./data_judge.ts";

/** How a judge is trained. */
interface Recipe {
  /** Default number of training steps. */
  readonly steps: number;
  /** Default seed. */
  readonly seed: number;
  /** Largest shift of a training image along each axis, in pixels. */
  readonly shift: number;
  /** Whether a quarter of the images is blurred, and another quarter grainy, and the judge learns to tell how much. */
  readonly faults: boolean;
}

/** How each judge is trained. */
export const recipes: Readonly<Record<JudgeName, Recipe>> = {
  lenet: { steps: 6000, seed: shared.seed.default!, shift: 1, faults: false },
  vgg: { steps: 6000, seed: 1, shift: 2, faults: true },
};
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
/** Test images per batch. */
const atOnce = 2000;

/** Options for training a classifier. */
export interface JudgeTrainingOptions {
  readonly name: JudgeName;
  readonly steps: number;
  /** Seed of weights, order, shifts and faults, an integer in [0, 2^32). */
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
  const { name, seed, steps } = options;
  const untested: JudgeInfo = {
    name,
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
function commandOf(data: JudgedData, { name, steps, seed }: JudgeTrainingOptions): string {
  const quoted = /^[\w.-]+$/.test(data.name) ? data.name : JSON.stringify(data.name);
  const source = data.source === MNIST_PACKAGE ? "" : ` --data ${quoted}`;
  const judge = name === judgeNames[0] ? "" : ` --judge ${name}`;
  return `deno task judge${judge}${source} --steps ${steps} --seed ${seed} --device ${currentDevice().kind}`;
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
  { name, steps, seed, signal, onProgress }: JudgeTrainingOptions,
): Promise<Classifier | undefined> {
  const { classes, channels, height, width } = data;
  const model = new Classifier({ classes, channels, height, width, name }, randomInitialiser(seed));
  const parameters = namedParameters(model);
  const rule = optimizer("adamw", flatten(parameters), { learningRate });
  const batches = classifierBatches(data, batchSize, seed, recipes[name]);
  const training = record(() => {
    const { logits, faults } = model.forward(batches.x);
    const classLoss = crossEntropy(logits, batches.labels);
    const loss = faults ? add(classLoss, meanSquaredError(faults, batches.faults)) : classLoss;
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
 * Standard deviations of blur, in pixels, and of grain, where white is 1, and the strengths to tell for them: each from
 * weakest to strongest. No fault has the strength 0, so even a weak one stands out.
 */
const blur = { sigma: [0.3, 1], strength: [0.4, 1] } as const;
const grain = { sigma: [0, 0.3], strength: [0.3, 1] } as const;

/**
 * Batches of training images in random order, each image shifted and filled with black at the border; with faults, the
 * last quarter of a batch is grainy, and the quarter before it blurred. The last sixteenth is noise, whose labels are
 * random, so that a judge learns to be certain of nothing there.
 *
 * @param seed of order, shifts and faults, an integer in [0, 2^32)
 * @returns a batch on the device, x f32[N, C, H, W], labels u32[N] and faults f32[N, 2], the strengths of blur and grain
 * from 0 to 1, and the function that loads it: the batch of a step depends on seed and step alone
 */
export function classifierBatches(
  data: Pick<JudgedData, "channels" | "height" | "width" | "train">,
  N: number,
  seed: number,
  { shift, faults: hasFaults }: Pick<Recipe, "shift" | "faults">,
) {
  const { channels: C, height: H, width: W, train } = data;
  const P = C * H * W;
  const { scale, shift: black } = normalization;
  const seen = Float32Array.from({ length: 256 }, (_, byte) => scale * byte / 255 + black);
  const order = new BatchOrder(firstIndices(train.count), N, seed);
  const values = new Float32Array(N * P);
  const [x, labels] = [tensor(values, [N, C, H, W]), tensor(new Uint32Array(N))];
  const strengths = new Float32Array(2 * N);
  const faults = tensor(strengths, [N, 2]);
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
    images.forEach((image, n) => place(image, n, shiftOf(2 * n), shiftOf(2 * n + 1)));
    if (hasFaults) damage(step);
    x.write(values);
    labels.write(Uint32Array.from(images, (image) => train.labels[image]));
  };
  return { x, labels, faults, load };
}
