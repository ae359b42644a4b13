import { yieldToEvents } from "../../kernels/devices/device.ts";
import {
  asBytes,
  evaluationsOf,
  noise,
  permutation,
  type Points,
  type SolverOptions,
  streams,
  toPixels,
} from "../../models/mod.ts";
import { firstIndices, type LabelledImages } from "../data/dataset.ts";
import { pixelsOf } from "../data/images.ts";
import {
  balancedClasses,
  formatAutoguidance,
  formatGuidance,
  guidedCostSuffix,
  runsTwice,
  samplingField,
} from "../draw/conditioning.ts";
import { type Drawable, drawSamples, formatCost } from "../draw/samples.ts";
import type { EvaluatedNetwork } from "./evaluated_network.ts";
import type { EvaluationOptions } from "./evaluation_options.ts";

/** The sets of images that are compared. */
export type SetName = "samples" | "test" | "train" | "noise";

/**
 * Samples, training images and noise in equal numbers, and as many test images or all of them: an image per row, 0 black
 * to 1 white in steps of 1 / 255.
 */
export type ImageSets = Readonly<Record<SetName, Points>>;

/** Callbacks of long work, and the signal that ends it. */
export interface Watch {
  /** Called with the number of network evaluations so far, each of one image at one time. */
  readonly onProgress?: (done: number) => void;
  /** Called with the number of image pairs compared so far, and an upper bound. */
  readonly onCompared?: (done: number, most: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Counts network evaluations, reports progress, and throws the reason of a signal that has fired. */
export class Monitor {
  evaluations = 0;

  constructor(readonly watch: Watch) {}

  async advance(evaluations: number): Promise<void> {
    this.evaluations += evaluations;
    this.watch.onProgress?.(this.evaluations);
    await yieldToEvents();
    this.watch.signal?.throwIfAborted();
  }

  /** A callback that takes the number of images so far, each of which took `each` evaluations. */
  advanceTo(each = 1): (done: number) => Promise<void> {
    let counted = 0;
    return (done) => {
      const more = (done - counted) * each;
      counted = done;
      return this.advance(more);
    };
  }

  compared(done: number, most: number): void {
    this.watch.onCompared?.(done, most);
    this.watch.signal?.throwIfAborted();
  }
}

/** Expected evaluations of a sample with adaptive steps. */
const adaptiveEvaluations = 60;

export type Drawing = Pick<EvaluationOptions, "count" | "seed" | "how" | "guidance">;

/** Expected evaluations of the network for drawing the samples. */
export function samplingEvaluations(
  subject: EvaluatedNetwork,
  { count, how, guidance }: Omit<Drawing, "seed">,
): number {
  return count * evaluationsFor(subject, how) * runsPerEvaluation(subject, guidance);
}

/** Evaluations of the network's field per sample; an estimate for adaptive steps. */
function evaluationsFor({ drawable }: EvaluatedNetwork, how: SolverOptions): number {
  return evaluationsOf(how, drawable.model) ?? adaptiveEvaluations;
}

/** Network runs per evaluation of the field: 2 with guidance, else 1. */
export function runsPerEvaluation(
  { classes, drawable }: Pick<EvaluatedNetwork, "classes" | "drawable">,
  guidance: number,
): number {
  const isGuided = classes > 0
    ? runsTwice({ scale: guidance }, drawable.model)
    : autoguided(drawable, guidance).autoguidance !== undefined;
  return isGuided ? 2 : 1;
}

/** The network with this scale of autoguidance, if it has early weights. */
function autoguided({ autoguidance, ...drawable }: Drawable, scale: number): Drawable {
  return autoguidance && scale !== 1 ? { ...drawable, autoguidance: { ...autoguidance, scale } } : drawable;
}

/**
 * Draws samples, equal numbers of each class, as pixels in steps of 1 / 255. The cost is in evaluations per sample (the
 * mean if they differ), and in seconds for all.
 */
export async function drawForEvaluation(
  subject: EvaluatedNetwork,
  { count, seed, how, guidance }: Drawing,
  monitor: Monitor,
) {
  const started = performance.now();
  const { classes } = subject;
  const conditioning = classes > 0 ? balancedClasses(count, classes, { scale: guidance }) : undefined;
  const drawable = autoguided(subject.drawable, guidance);
  const runs = runsPerEvaluation(subject, guidance);
  const each = evaluationsFor(subject, how) * runs;
  const advance = monitor.advanceTo(each);
  const { pixels, ...cost } = await drawSamples(drawable, { ...how, count, seed, conditioning }, advance);
  return {
    field: samplingField(drawable, conditioning).field,
    labels: conditioning?.labels,
    pixels: { values: asBytes(pixels), rows: count, width: pixels.length / count },
    evaluations: cost.evaluations * runs,
    seconds: (performance.now() - started) / 1000,
    words: [
      formatCost(cost) + (runs > 1 ? guidedCostSuffix(conditioning) : ""),
      ...conditioning ? ["equal numbers of each class", formatGuidance(conditioning.guidance)] : [],
      ...drawable.autoguidance ? [formatAutoguidance(guidance)] : [],
    ].join(", "),
  };
}

/** Draws samples, and the images to compare them with. */
export async function imageSets(subject: EvaluatedNetwork, options: EvaluationOptions, monitor: Monitor) {
  const { drawable, data, trained } = subject;
  const { count, seed } = options;
  const { field, labels, pixels, ...drawn } = await drawForEvaluation(subject, options, monitor);
  const x0 = await noise(seed, [count, ...drawable.shape]).read();
  const noisy = asBytes(toPixels(x0, drawable.normalization));
  // Drawn without replacement from the images that the network learned from.
  const real = permutation(seed, streams.split, 1, trained.length).slice(0, count).map((n) => trained[n]);
  const sets: ImageSets = {
    samples: pixels,
    test: imagesAt(data.test, firstIndices(Math.min(count, data.test.count))),
    train: imagesAt(data.train, real),
    noise: { values: noisy, rows: count, width: noisy.length / count },
  };
  return {
    sets,
    cost: { evaluations: Math.round(count * drawn.evaluations), seconds: drawn.seconds },
    how: `${options.words}, ${drawn.words}`,
    field,
    labels,
  };
}

/** Images of a data set by index, as pixels from 0 black to 1 white. */
export function imagesAt({ images, count }: LabelledImages, indices: Uint32Array): Points {
  const width = images.length / count;
  return { values: pixelsOf(images, indices, width), rows: indices.length, width };
}
