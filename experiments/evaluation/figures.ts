import { type JudgeName, judgeNames } from "../../models/mod.ts";
import { type FieldCheck, ifGiven } from "../run/field_checks.ts";
import type { Question } from "../../viz/report/mod.ts";

/** The meaning of a figure, for tables and for readers who see it for the first time. */
export interface FigureMeaning {
  readonly title: string;
  /** Explanation in one sentence. */
  readonly doc: string;
  /** Which values are better: high ones, low ones, or those close to real images. */
  readonly better: "higher" | "lower" | "real";
  /** Whether it is a share, shown in per cent. */
  readonly share?: true;
  /** Whether it depends on a judge, and every judge has its own. */
  readonly judged?: true;
  /** The question that a report answers with it; the other figures appear only in the full list. */
  readonly question?: Question;
  /** Ends of its axis; by default those of shares, or those that fit the values. */
  readonly ends?: readonly [worst: number, best: number];
}

/** The figures of an evaluation in display order, by their names in files, trackers and tables. */
export const figureMeanings = {
  confident: {
    title: "Recognised",
    question: "real",
    doc:
      "Share of samples in which the judge, a small classifier, sees one class with a probability of at least 0.9",
    better: "higher",
    share: true,
    judged: true,
  },
  asked_class: {
    title: "Of the requested class",
    question: "class",
    doc: "Share of samples in which the judge sees the class that was requested",
    better: "higher",
    share: true,
    judged: true,
  },
  class_entropy: {
    title: "Entropy of classes",
    question: "real",
    doc:
      "How evenly samples are spread over the classes, in bits: 3.32 if ten are equally frequent, 0 if there is only one",
    better: "real",
    judged: true,
  },
  frechet: {
    title: "Fréchet distance",
    question: "real",
    doc:
      "How far the cloud of samples is from the cloud of test images, in the numbers that the judge computes from an image (its features): distance of the means and of the covariances",
    better: "lower",
    judged: true,
  },
  frechet_shrunk: {
    title: "Fréchet distance, shrunk",
    doc:
      "The same distance to the training images, where test images are too few for a cloud: covariances are shrunk towards a round one, and more so if there are fewer images; mean over groups of as many samples as there are test images",
    better: "lower",
    judged: true,
  },
  frechet_pixels: {
    title: "Fréchet distance of pixels",
    doc:
      "Distance to the training images without a judge, in pixels averaged to 8 x 8 at most, with shrunk covariances; mean over groups of as many samples as there are test images; it sees only coarse shapes and colours",
    better: "lower",
  },
  kernel: {
    title: "Kernel distance",
    doc:
      "Distance of the same two clouds that also sees differences beyond mean and covariance (by a kernel), and is not biased by the number of samples, so it may fall below 0",
    better: "lower",
    judged: true,
  },
  precision: {
    title: "Precision",
    question: "real",
    doc:
      "Share of samples that lie among test images: within reach of one, which is as far as its fifth neighbour",
    better: "higher",
    share: true,
    judged: true,
  },
  recall: {
    title: "Recall",
    question: "real",
    doc: "Share of test images that lie among samples, so a kind of image that is never drawn lowers it",
    better: "higher",
    share: true,
    judged: true,
  },
  density: {
    title: "Density",
    doc:
      "How many test images' neighbourhoods contain a sample, divided by the expected number; above 1 in dense regions",
    better: "real",
    judged: true,
  },
  coverage: {
    title: "Coverage",
    question: "real",
    doc: "Share of test images that have a sample within reach of their fifth neighbour",
    better: "higher",
    share: true,
    judged: true,
  },
  accuracy_score: {
    title: "Accuracy score",
    doc:
      "Share of real test images that a classifier trained only on the samples gets right; it cannot learn what the samples lack",
    better: "higher",
    share: true,
    judged: true,
  },
  class_spread: {
    title: "Spread within classes",
    question: "real",
    doc:
      "How different samples of one class are: the mean distance of two of them, in pixel values from 0 to 1; samples are too uniform if it is lower than for real images",
    better: "real",
  },
  authentic: {
    title: "Authentic",
    question: "copied",
    doc:
      "Share of samples farther from their nearest training image than that image is from its own nearest; copies lower it",
    better: "real",
    share: true,
  },
  copying: {
    title: "Copying, C_T",
    question: "copied",
    doc:
      "Whether samples are nearer to training images than test images are, in standard deviations: far below 0 if the network copies",
    better: "real",
  },
  velocity_error: {
    title: "Velocity error",
    doc:
      "Mean squared error of the network's velocity on test images, with uniform t and the evaluation's noise",
    better: "lower",
  },
  path_ratio: {
    title: "Length over distance",
    doc: "Length of the trajectory from noise to sample, divided by the straight distance; 1 is straight",
    better: "lower",
  },
  straightness: {
    title: "Straightness",
    doc:
      "Mean squared difference between the velocity along the trajectory and the straight line; 0 is straight",
    better: "lower",
  },
  round_trip: {
    title: "Round trip",
    doc:
      "Root mean square error in pixel values from 0 to 1 of test images taken to noise and back by the solver",
    better: "lower",
  },
  bits_per_dimension: {
    title: "Bits per dimension",
    doc: "How many bits the model needs for a value of a test image, from its likelihood; 8 without a model",
    better: "lower",
    ends: [8, 0],
  },
} as const satisfies Readonly<Record<string, FigureMeaning>>;

export type FigureName = keyof typeof figureMeanings;

export const figureNames: readonly FigureName[] = Object.keys(figureMeanings) as FigureName[];

/**
 * The key of a figure in files, trackers and tables: its name, such as `frechet`, or that of a judge other than the
 * first before it, such as `vgg/frechet`.
 */
export type FigureKey = FigureName | `${JudgeName}/${FigureName}`;

export type ByFigure<Value> = Readonly<Partial<Record<FigureKey, Value>>>;

export function figureKey(name: FigureName, judge: JudgeName = judgeNames[0]): FigureKey {
  return judge === judgeNames[0] ? name : `${judge}/${name}`;
}

/** A figure, and its judge if it depends on one. */
export interface Figured {
  readonly name: FigureName;
  readonly judge?: JudgeName;
}

/** All figures in display order by key; those of the judges are side by side. */
export const figuresByKey: ReadonlyMap<FigureKey, Figured> = new Map(
  figureNames.flatMap((name): [FigureKey, Figured][] => {
    const { judged }: FigureMeaning = figureMeanings[name];
    return judged ? judgeNames.map((judge) => [figureKey(name, judge), { name, judge }]) : [[name, { name }]];
  }),
);

/** All keys of figures, in display order. */
export const figureKeys: readonly FigureKey[] = [...figuresByKey.keys()];

/** The keys of these figures, for each judge. */
export function keysOf(names: readonly FigureName[]): FigureKey[] {
  return names.flatMap((name) => figureKeys.filter((key) => figuresByKey.get(key)!.name === name));
}

/** Checks of a file's fields for these figures; each field is optional. */
export function figureFields<Value>(names: readonly FigureName[], check: FieldCheck<Value>) {
  const fields = Object.fromEntries(keysOf(names).map((key) => [key, ifGiven(check)]));
  return fields as Readonly<Record<FigureKey, FieldCheck<Value | undefined>>>;
}

/** The values of figures with intervals. @param keys of the figures to keep, by default all */
export function valuesOf(
  figures: ByFigure<{ readonly value: number } | undefined>,
  keys: readonly FigureKey[] = figureKeys,
): ByFigure<number> {
  return Object.fromEntries(keys.flatMap((key) => figures[key] ? [[key, figures[key].value]] : []));
}

export function meaningOf(key: FigureKey): FigureMeaning {
  return figureMeanings[figuresByKey.get(key)!.name];
}

/** Title of a figure, with its judge if it has one: `Fréchet distance (vgg)`. */
export function titleOf(key: FigureKey): string {
  const { name, judge } = figuresByKey.get(key)!;
  return figureMeanings[name].title + (judge ? ` (${judge})` : "");
}

/** A figure as text: four significant digits, shares in per cent. */
export function shownFigure(key: FigureKey, value: number): string {
  return meaningOf(key).share ? `${(100 * value).toFixed(1)} %` : String(Number(value.toPrecision(4)));
}

/** Name of a figure's metric in a tracker, e.g. `eval/frechet` or `eval/vgg/frechet`. */
export function metricOf(key: FigureKey): string {
  return `eval/${key}`;
}
