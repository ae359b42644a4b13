import { currentDevice } from "../../kernels/mod.ts";
import { Judge, type JudgeInfo, saveJudge, stateOf } from "../../models/mod.ts";
import { MNIST_PACKAGE } from "../data/mnist.ts";
import { digestOf, type JudgedData, type Labelled } from "./judged_data.ts";
import { type JudgeTrainingOptions, normalization, trainClassifier } from "./judge_training.ts";

/** A judge fresh from training. */
export interface MadeJudge {
  /** The safetensors file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly info: JudgeInfo;
}

/** Images to judge at once. */
const atOnce = 2000;

/**
 * Trains a judge on the training images and tries it on the test images.
 *
 * @returns undefined if it was stopped
 * @throws {TrainingError} if the loss becomes NaN or infinite
 */
export async function makeJudge(
  data: JudgedData,
  options: JudgeTrainingOptions,
): Promise<MadeJudge | undefined> {
  const classifier = await trainClassifier(data, options);
  if (!classifier) return undefined;
  const { classes, channels, height, width } = data;
  const { seed, steps } = options;
  const untested: JudgeInfo = {
    ...{ classes, channels, height, width, normalization, dataDigest: await digestOf(data), accuracy: 0 },
    ...{ seed, steps, command: commandOf(data, options) },
  };
  const info = { ...untested, accuracy: await accuracyOf(new Judge(classifier, untested), data.test) };
  if (options.signal?.aborted) return undefined;
  return { bytes: saveJudge(await stateOf(classifier), info), info };
}

/** The command that makes a judge again, but for the path of the data. */
function commandOf({ name, source }: JudgedData, { steps, seed }: JudgeTrainingOptions): string {
  const quoted = /^[\w.-]+$/.test(name) ? name : JSON.stringify(name);
  const data = source === MNIST_PACKAGE ? "" : ` --data ${quoted}`;
  return `deno task judge${data} --steps ${steps} --seed ${seed} --device ${currentDevice().kind}`;
}

/** Share of images whose most probable class is their label. */
export async function accuracyOf(judge: Judge, { images, labels, count }: Labelled): Promise<number> {
  const P = images.length / count;
  const { classes } = judge.info;
  let right = 0;
  for (let from = 0; from < count; from += atOnce) {
    const pixels = Float32Array.from(images.subarray(from * P, (from + atOnce) * P), (byte) => byte / 255);
    const { probabilities } = await judge.judge(pixels);
    for (let n = 0; n < pixels.length / P; n++) {
      const row = probabilities.subarray(n * classes, (n + 1) * classes);
      if (row.indexOf(Math.max(...row)) === labels[from + n]) right++;
    }
  }
  return right / count;
}
