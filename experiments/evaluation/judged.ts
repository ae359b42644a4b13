import { type Estimate, type Judgement, prdc, proportion } from "../../models/mod.ts";
import type { DataJudge } from "./data_judge.ts";
import { verdicts } from "./train_judge.ts";
import { classEntropy, classHistogram } from "./class_entropy.ts";
import { frechetDistance, kernelDistance } from "./feature_distances.ts";
import { type ByFigure, figureKey, type FigureName } from "./figures.ts";
import { hasFewTestImages } from "./evaluated_network.ts";
import type { Findings, JudgedSets, Measurement, MeasurementInput } from "./measurement.ts";

/** Lowest probability at which a judge is certain of an image. */
const certain = 0.9;

/** Number of images that a judge assigns to each class. */
export function classesSeen({ probabilities }: Judgement, { classes }: Pick<DataJudge, "classes">): number[] {
  return [...classHistogram(verdicts(probabilities, classes).classes, classes)];
}

/**
 * How often a judge is certain of images, which classes it sees, and how often these are the labels, if there are any.
 */
export function recognised({ probabilities }: Judgement, classes: number, labels?: ArrayLike<number>) {
  const seen = verdicts(probabilities, classes);
  const right = seen.classes.filter((label, n) => label === labels?.[n]).length;
  return {
    confident: proportion(seen.confidence.filter((p) => p >= certain).length, seen.confidence.length),
    ...labels && { asked_class: proportion(right, labels.length) },
    class_entropy: classEntropy(seen.classes, classes),
  };
}

/** Distances between images and test images in a judge's features. */
async function compared({ features: test }: Judgement, { features }: Judgement) {
  return {
    frechet: frechetDistance(test, features),
    kernel: await kernelDistance(test, features),
    ...await prdc(test, features),
  };
}

/**
 * The figures of samples by every judge, each with its interval: those of `deno task evaluate` that depend on a judge.
 *
 * @param test pixels of real images, f32[M, C, H, W], 0 black to 1 white; best with M = N
 * @param samples pixels f32[N, C, H, W], rounded with `asBytes()` as in image files; N and M at least 168
 * @param labels the class requested for each sample, if any
 * @returns figures by key: `frechet` by the first judge, `vgg/frechet` by the one of this name
 * @throws {JudgeError} if images have another size, or a pixel is not finite
 * @throws {MeasureError} if there are too few images
 */
export async function judgeSamples(
  judges: readonly DataJudge[],
  test: Float32Array,
  samples: Float32Array,
  labels?: ArrayLike<number>,
): Promise<ByFigure<Estimate>> {
  let figures: ByFigure<Estimate> = {};
  for (const judge of judges) {
    const [real, drawn] = [await judge.judge(test), await judge.judge(samples)];
    const ownFigures = { ...recognised(drawn, judge.classes, labels), ...await compared(real, drawn) };
    figures = { ...figures, ...keyed(judge, ownFigures) };
  }
  return figures;
}

/** The figures of a judge by key. */
export function keyed<Found>(
  { name: judge }: DataJudge,
  figures: Readonly<Partial<Record<FigureName, Found>>>,
): ByFigure<Found> {
  const named = Object.entries(figures) as [FigureName, Found][];
  return Object.fromEntries(named.map(([name, figure]) => [figureKey(name, judge), figure]));
}

/** A measurement that every judge takes with its own view of the images. */
export function byEachJudge(
  measure: (judged: JudgedSets, input: MeasurementInput) => Promise<Findings["figures"]>,
): Measurement {
  return {
    judged: true,
    sampled: true,
    async measure(input) {
      let figures: Findings["figures"] = {};
      for (const judged of input.judged) {
        figures = { ...figures, ...keyed(judged.judge, await measure(judged, input)) };
      }
      return { figures };
    },
  };
}

/** How often the judges are certain of a sample, and which classes they see. */
export const recognition: Measurement = byEachJudge(({ judge, samples, test, noise }, { labels }) => {
  const { confident, class_entropy, ...others } = recognised(samples, judge.classes, labels);
  const [real, none] = [recognised(test, judge.classes), recognised(noise, judge.classes)];
  const realCount = test.probabilities.length / judge.classes;
  return Promise.resolve({
    ...others,
    confident: { ...confident, real: real.confident.value, realCount, noise: none.confident.value },
    class_entropy: {
      ...class_entropy,
      real: real.class_entropy.value,
      realCount,
      noise: none.class_entropy.value,
    },
  });
});

/** Distances between the samples and the test images in the judges' features, if there are enough test images. */
export const likeness: Measurement = byEachJudge(async ({ samples, test, train, noise }, { subject }) => {
  if (hasFewTestImages(subject.data)) return {};
  const [ownFigures, real, none] = [
    await compared(test, samples),
    await compared(test, train),
    await compared(test, noise),
  ];
  const names = Object.keys(ownFigures) as (keyof typeof ownFigures)[];
  return Object.fromEntries(
    names.map((name) => {
      const reference = { real: real[name].value, realCount: train.features.rows, noise: none[name].value };
      return [name, { ...ownFigures[name], ...reference }];
    }),
  );
});
