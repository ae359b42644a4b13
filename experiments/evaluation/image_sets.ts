import { asBytes, evaluationsOf, noise, toPixels } from "../../models/mod.ts";
import {
  autoguidanceInWords,
  type Conditioning,
  guidanceInWords,
  guidedCostSuffix,
  runsTwice,
  samplingField,
} from "../draw/conditioning.ts";
import { costInWords, type Drawable, drawSamplesInBatches } from "../draw/samples.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import type { Points } from "../../models/measures/points.ts";
import type { Cost } from "./evaluation.ts";
import { drawImages, imagesOf } from "./real_images.ts";
import type { Subject } from "./subject.ts";
import type { EvaluationOptions, JudgedImages, Trial } from "./trial.ts";
import type { Advance } from "./watch.ts";

/** Evaluations of a sample by a solver that chooses its own steps, for a first guess. */
const guess = 60;

/** Evaluations of the network that drawing the samples takes; a guess where they choose their own steps. */
export function samplingEvaluations(
  subject: Subject,
  { count, how, guidance }: Pick<EvaluationOptions, "count" | "how" | "guidance">,
): number {
  return count * (evaluationsOf(how) ?? guess) * runsOf(subject, guidance);
}

/** Samples as a file of images would hold them, and what they cost. */
export interface DrawnImages extends Pick<Trial, "field" | "asked"> {
  readonly pixels: Points;
  /** Evaluations of the field for a sample; the mean where samples differ. */
  readonly evaluations: number;
  /** How often the network runs in each of them. */
  readonly runs: number;
  readonly seconds: number;
  /** The cost in words. */
  readonly words: string;
}

/**
 * Draws the samples of an evaluation.
 *
 * @throws {RunError} if one is not finite
 * @throws {SolverError} if a solver cannot go on
 */
export async function drawFor(
  subject: Subject,
  { count, seed, how, guidance }: Pick<EvaluationOptions, "count" | "seed" | "how" | "guidance">,
  advance: Advance,
): Promise<DrawnImages> {
  const started = performance.now();
  const conditioning = conditioningOf(subject.classes, count, guidance);
  const drawable = guidedBy(subject.drawable, guidance);
  const runs = runsOf(subject, guidance);
  const each = (evaluationsOf(how) ?? guess) * runs;
  let counted = 0;
  const { pixels, ...cost } = await drawSamplesInBatches(
    drawable,
    { count, seed, conditioning },
    how.solver === "sde" ? { ...how, seed } : how,
    (done) => {
      const more = (done - counted) * each;
      counted = done;
      return advance(more);
    },
  );
  return {
    field: samplingField(drawable, conditioning).field,
    ...conditioning && { asked: conditioning.labels },
    pixels: { values: asBytes(pixels), rows: count, width: pixels.length / count },
    evaluations: cost.evaluations,
    runs,
    seconds: (performance.now() - started) / 1000,
    words: [
      costInWords(cost) + (runs > 1 ? guidedCostSuffix(conditioning) : ""),
      ...conditioning ? ["equally many of each class", guidanceInWords(conditioning.guidance)] : [],
      ...drawable.autoguidance ? [autoguidanceInWords(guidance)] : [],
    ].join(", "),
  };
}

/** How often a network runs in an evaluation of the field: guided, with and without the class, or now and early on. */
export function runsOf(
  { classes, drawable }: Pick<Subject, "classes" | "drawable">,
  guidance: number,
): number {
  const twice = classes > 0
    ? runsTwice({ scale: guidance })
    : guidedBy(drawable, guidance).autoguidance !== undefined;
  return twice ? 2 : 1;
}

/** A network that is guided so much away from what it was, if that is known of it. */
function guidedBy({ autoguidance, ...drawable }: Drawable, scale: number): Drawable {
  return autoguidance && scale !== 1 ? { ...drawable, autoguidance: { ...autoguidance, scale } } : drawable;
}

/** Equally many samples of each class, in turn; of a network without classes there is nothing to ask. */
function conditioningOf(classes: number, count: number, guidance: number): Conditioning | undefined {
  if (classes === 0) return undefined;
  return {
    labels: Uint32Array.from({ length: count }, (_, n) => n % classes),
    guidance: { scale: guidance },
  };
}

/** The sets of images that an evaluation compares, all of one size. */
export interface DrawnSets extends Pick<Trial, "sets" | "field" | "asked"> {
  /** Of the samples. */
  readonly cost: Cost;
  /** How they were drawn, in words. */
  readonly how: string;
}

/**
 * Draws samples and the images to compare them with.
 *
 * @throws {RunError} if a sample is not finite
 */
export async function imageSets(
  subject: Subject,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
  advance: Advance,
): Promise<DrawnSets> {
  const { drawable, data, trained } = subject;
  const { count, seed } = options;
  const drawn = await drawFor(subject, options, advance);
  const x0 = await noise(seed, [count, ...drawable.shape]).read();
  const all = (images: { count: number }) => Uint32Array.from({ length: images.count }, (_, i) => i);
  const judged = async (pixels: Points): Promise<JudgedImages> => {
    if (!judge) {
      return {
        pixels,
        probabilities: new Float32Array(),
        features: { values: new Float32Array(), rows: 0, width: 0 },
      };
    }
    const judgement = await judge.judge(pixels.values);
    await advance(0);
    return { pixels, ...judgement };
  };
  const rowsOf = (values: Float32Array): Points => ({ values, rows: count, width: values.length / count });
  return {
    sets: {
      samples: await judged(drawn.pixels),
      test: await judged(imagesOf(data.test, all(data.test).slice(0, count))),
      train: await judged(imagesOf(data.train, drawImages(trained, count, seed))),
      noise: await judged(rowsOf(asBytes(toPixels(x0, drawable.normalization)))),
    },
    cost: { evaluations: Math.round(count * drawn.evaluations * drawn.runs), seconds: drawn.seconds },
    how: `${options.words}, ${drawn.words}`,
    field: drawn.field,
    asked: drawn.asked,
  };
}
