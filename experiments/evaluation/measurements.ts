import { slice, type Tensor, tensor } from "../../kernels/mod.ts";
import {
  bitsPerDimension,
  bootstrap,
  type Estimate,
  evaluationsOf,
  flowGeometry,
  flowSolverOf,
  fromPixels,
  HeldOutLoss,
  isAdaptive,
  type Judgement,
  type JudgeName,
  judgeNames,
  meanEstimate,
  meanLoss,
  type Neighbours,
  noise,
  pickPoints,
  type Points,
  precisionRecall,
  roundTrip,
  type SolverOptions,
  timesOf,
  uniformTimes,
  type VelocityField,
} from "../../models/mod.ts";
import type { JudgedSamples, QualityFigure, TimeBin } from "../../viz/report/mod.ts";
import { firstIndices } from "../data/dataset.ts";
import { sourceOf } from "../data/image_source.ts";
import { type EvaluatedNetwork, hasFewTestImages } from "./evaluated_network.ts";
import type { EvaluationOptions } from "./evaluation_options.ts";
import { imagesAt, type ImageSets, type Monitor, runsPerEvaluation, type SetName } from "./image_sets.ts";
import type { DataJudge } from "./judges.ts";
import {
  authenticity,
  binByTime,
  classSpread,
  frechetDistance,
  kernelDistance,
  kernelDistanceToFew,
  maxPairs,
  recognised,
  verdicts,
} from "./measures.ts";

/** The meaning of a figure, for tables and for readers who see it for the first time. */
export interface FigureMeaning extends Pick<QualityFigure, "title" | "better" | "question" | "ends"> {
  /** Explanation in one sentence. */
  readonly doc: string;
  /** Whether it is a share, shown in per cent. */
  readonly share?: true;
}

/** The sets of images as a judge sees them. */
export interface JudgedSets extends Readonly<Record<SetName, Judgement>> {
  readonly judge: DataJudge;
}

/** What is measured. */
export interface MeasurementInput {
  readonly subject: EvaluatedNetwork;
  readonly options: EvaluationOptions;
  readonly sets: ImageSets;
  /** The sets by each judge; empty without judges. */
  readonly judged: readonly JudgedSets[];
  /** The field that draws the samples, with its guidance. */
  readonly field: VelocityField;
  /** Class of each sample, the field's condition; undefined without classes. */
  readonly labels: Uint32Array<ArrayBuffer> | undefined;
  readonly monitor: Monitor;
}

/** A measured figure: the samples' value with its interval, and those of real images and of noise. */
export interface Measured extends Estimate {
  /** Number of images, if not that of the samples. */
  readonly count?: number;
  readonly real?: number;
  readonly realCount?: number;
  readonly noise?: number;
}

/** What a measurement finds. */
export interface Findings {
  readonly figures: Readonly<Partial<Record<string, Measured>>>;
  /** Samples to look at. */
  readonly shown?: JudgedSamples;
  /** Means over samples along their trajectories. */
  readonly course?: Readonly<Record<"t" | "straightness" | "curvature", readonly number[]>>;
  /** Velocity error in bins of t. */
  readonly lossByTime?: readonly TimeBin[];
}

/** One or more figures that share work. */
export interface Measurement {
  readonly figures: Readonly<Record<string, FigureMeaning>>;
  /** Whether every judge measures them in its view of the images, for keys as of {@linkcode figureKey}. */
  readonly judged?: true;
  /** Whether they come from the samples, whose cost they then include. */
  readonly sampled?: true;
  /** Expected evaluations of the network, without those for drawing samples; the monitor counts the actual ones. */
  evaluations?(subject: EvaluatedNetwork, options: EvaluationOptions): number;
  measure(input: MeasurementInput): Findings | Promise<Findings>;
}

/**
 * The key of a figure in files, trackers and tables: its name, such as `frechet`, or that of a judge other than the
 * first before it, such as `vgg/frechet`.
 */
export function figureKey(name: string, judge: JudgeName = judgeNames[0]): string {
  return judge === judgeNames[0] ? name : `${judge}/${name}`;
}

/** A figure beside its values for real images and for noise, as far as they are known. */
const compared = (own: Estimate, real: number | undefined, realCount: number, noise?: number): Measured => ({
  ...own,
  real,
  realCount: real === undefined ? undefined : realCount,
  noise,
});

/** A measurement by each judge of the samples, and for comparison of a set of real images and of noise. */
function byEachJudge(
  figures: Measurement["figures"],
  real: "test" | "train",
  measure: (
    images: Judgement,
    test: Judgement,
    about: {
      readonly classes: number;
      readonly labels?: Uint32Array;
      /** Training images, if test images are few. */
      readonly others: Judgement | undefined;
    },
  ) => Readonly<Record<string, Estimate>> | Promise<Readonly<Record<string, Estimate>>>,
): Measurement {
  return {
    figures,
    judged: true,
    sampled: true,
    async measure({ judged, labels, subject: { data } }) {
      const found: Record<string, Measured> = {};
      for (const { judge, ...views } of judged) {
        const { classes, name: judgeName } = judge;
        const others = hasFewTestImages(data) ? views.train : undefined;
        const own = await measure(views.samples, views.test, { classes, labels, others });
        const ofReal = await measure(views[real], views.test, { classes, others });
        const ofNoise = await measure(views.noise, views.test, { classes, others });
        for (const [name, estimate] of Object.entries(own)) {
          const [best, worst] = [ofReal[name]?.value, ofNoise[name]?.value];
          found[figureKey(name, judgeName)] = compared(estimate, best, views[real].features.rows, worst);
        }
      }
      return { figures: found };
    },
  };
}

/** Training images shown beside a sample. */
const neighbours = 3;
/** Maximum number of values in the training images that samples are compared with, 4 GiB. */
const maxValues = 2 ** 30;
/** Images per batch. */
const batch = 64;
/** Maximum number of test images for the loss; more would not change the figure. */
const maxLosses = 10_000;
/** Relative tolerance of a likelihood; a smaller one changes bits by less than their interval. */
const rtol = 1e-2;
/** Expected evaluations of a likelihood, which uses adaptive steps. */
const likelihoodEvaluations = 50;

/**
 * The figures of an evaluation, in the order of tables: what each means, and how it is measured with its interval.
 */
export const measurements: readonly Measurement[] = [
  byEachJudge(
    {
      confident: {
        title: "Confident",
        question: "real",
        doc:
          "Share of samples in which the judge, a small classifier, sees one class with a probability of at least 0.9",
        better: "higher",
        share: true,
      },
      asked_class: {
        title: "Requested class",
        question: "class",
        doc: "Share of samples in which the judge sees the class that was requested",
        better: "higher",
        share: true,
      },
      class_entropy: {
        title: "Entropy of classes",
        question: "real",
        doc:
          "How evenly samples are spread over the classes, in bits: 3.32 if ten are equally frequent, 0 if there is only one",
        better: "real",
      },
    },
    "test",
    (images, _, { classes, labels }) => recognised(images, classes, labels),
  ),

  byEachJudge(
    {
      frechet: {
        title: "Fréchet distance",
        question: "real",
        doc:
          "Distance between samples and test images in the judge's features: of their means and covariances",
        better: "lower",
      },
      kernel: {
        title: "Kernel distance",
        doc:
          "Distance of the same two clouds that also sees differences beyond mean and covariance (by a kernel), and is not biased by the number of samples, so it may fall below 0; with few test images less that of training images",
        better: "lower",
      },
      precision: {
        title: "Precision",
        question: "real",
        doc:
          "Share of samples that lie among test images: within reach of one, which is as far as its fifth neighbour",
        better: "higher",
        share: true,
      },
      recall: {
        title: "Recall",
        question: "real",
        doc: "Share of test images that lie among samples, so a kind of image that is never drawn lowers it",
        better: "higher",
        share: true,
      },
      coverage: {
        title: "Coverage",
        question: "real",
        doc: "Share of test images that have a sample within reach of their fifth neighbour",
        better: "higher",
        share: true,
      },
    },
    "train",
    async ({ features }, { features: test }, { others }) => {
      // The other figures depend on the numbers of images, so with few test images they would say nothing.
      if (others) return { kernel: await kernelDistanceToFew(test, features, others.features) };
      const kernel = await kernelDistance(test, features);
      return { frechet: frechetDistance(test, features), kernel, ...await precisionRecall(test, features) };
    },
  ),

  {
    figures: {
      class_spread: {
        title: "Spread within classes",
        question: "real",
        doc:
          "How different samples of one class are: the mean distance of two of them, in pixel values from 0 to 1; samples are too uniform if it is lower than for real images",
        better: "real",
      },
    },
    sampled: true,
    measure({ sets: { samples, test, noise }, labels, subject: { data } }) {
      const own = labels && classSpread(samples, labels);
      if (!own) return { figures: {} };
      const real = data.test.labels && classSpread(test, data.test.labels)?.value;
      const ofNoise = classSpread(noise, labels)?.value;
      return { figures: { class_spread: compared(own, real, test.rows, ofNoise) } };
    },
  },

  {
    figures: {
      authentic: {
        title: "Authentic",
        question: "copied",
        doc:
          "Share of samples farther from their nearest training image than that image is from its own nearest; copies lower it",
        better: "real",
        share: true,
      },
    },
    sampled: true,
    async measure(input) {
      const { subject: { data, trained }, sets: { samples, test }, monitor } = input;
      const width = data.train.images.length / data.train.count;
      const train = imagesAt(data.train, trained.subarray(0, Math.floor(maxValues / width)));
      // For comparison, images that cannot be copies: further test images, if there are any.
      const rest = firstIndices(data.test.count).slice(test.rows, 2 * test.rows);
      const controls = rest.length > 0 ? imagesAt(data.test, rest) : undefined;
      const most = maxPairs(train, samples) + (controls ? maxPairs(train, controls) : 0);
      let done = 0;
      const onPairs = (more: number) => monitor.compared(done += more, most);
      const { authentic, nearest } = await authenticity(train, samples, neighbours, onPairs);
      const real = controls && (await authenticity(train, controls, 1, onPairs)).authentic.value;
      return {
        figures: { authentic: compared(authentic, real, rest.length) },
        shown: judgedSamples(input, train, nearest),
      };
    },
  },

  {
    figures: {
      velocity_error: {
        title: "Velocity error",
        doc:
          "Mean squared error of the network's velocity on test images, with uniform t and the evaluation's noise",
        better: "lower",
      },
    },
    evaluations: ({ data }) => Math.min(data.test.count, maxLosses),
    async measure({ subject: { data, drawable, classes }, options: { seed }, monitor }) {
      const { normalization } = drawable;
      const test = sourceOf(data, "test", { conditional: classes > 0, normalization });
      const heldOut = new HeldOutLoss(drawable.model, test, { batchSize: batch, seed });
      const images = firstIndices(Math.min(data.test.count, maxLosses));
      const losses = await heldOut.losses(images, monitor.advanceTo());
      return {
        figures: { velocity_error: { ...bootstrap(meanLoss(losses), losses.loss), count: images.length } },
        lossByTime: binByTime(losses),
      };
    },
  },

  {
    figures: {
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
    },
    evaluations: (subject, { courseImages, how, guidance }) =>
      (runsPerEvaluation(subject, guidance) + 2) * courseImages * evaluationsOf(sharedSteps(how))!,
    async measure(input) {
      if (input.options.courseImages === 0) return { figures: {} };
      const { figures, course } = await alongTrajectories(input);
      const { model, normalization } = input.subject.drawable;
      const lost: number[] = [];
      for (const { x1, rows, ...condition } of testBatches(input, input.options.courseImages)) {
        const how = { ...sharedSteps(input.options.how), batch: rows, ...condition };
        const trip = await roundTrip(model, x1, how);
        lost.push(...trip.error.map((error) => error / Math.abs(normalization.scale)));
        await input.monitor.advance(rows * trip.evaluations);
      }
      return { figures: { ...figures, round_trip: { ...meanEstimate(lost), count: lost.length } }, course };
    },
  },

  {
    figures: {
      bits_per_dimension: {
        title: "Bits per dimension",
        doc:
          "How many bits the model needs for a value of a test image, from its likelihood; 8 without a model",
        better: "lower",
        ends: [8, 0],
      },
    },
    evaluations: (_, { bitsImages }) => bitsImages * likelihoodEvaluations,
    async measure(input) {
      const { subject: { drawable: { model, normalization } }, options, monitor } = input;
      const perImage: number[] = [];
      for (const { x1, rows, ...condition } of testBatches(input, options.bitsImages)) {
        const seed = (options.seed + perImage.length) % 2 ** 32;
        const how = { normalization, rtol, batch: rows, seed, ...condition };
        const { bits, evaluations } = await bitsPerDimension(model, x1, how);
        perImage.push(...bits);
        await monitor.advance(rows * evaluations);
      }
      if (perImage.length === 0) return { figures: {} };
      return { figures: { bits_per_dimension: { ...meanEstimate(perImage), count: perImage.length } } };
    },
  },
];

/** Samples shown in a report: the least certain ones, and a selection of the others. */
const shown = { least: 32, others: 16 } as const;

/** The samples shown in a report, least certain first; undefined without judges. */
function judgedSamples(
  { subject, sets: { samples }, judged, labels }: MeasurementInput,
  train: Points,
  nearest: Neighbours,
): JudgedSamples | undefined {
  const [first, second] = judged.map(({ judge, samples }) => verdicts(samples.probabilities, judge.classes));
  if (!first) return undefined;
  const least = first.confidence.map((p, n) => Math.min(p, second?.confidence[n] ?? p));
  const order = Array.from(least.keys()).sort((a, b) => least[a] - least[b]);
  const others = order.slice(shown.least);
  const step = Math.ceil(others.length / shown.others);
  const chosen = [...order.slice(0, shown.least), ...others.filter((_, i) => i % step === 0)];
  const of = ({ confidence, classes }: typeof first) => ({
    confidence: Float32Array.from(chosen, (n) => confidence[n]),
    classes: Uint32Array.from(chosen, (n) => classes[n]),
  });
  const near = chosen.flatMap((n) => [...nearest.indices.subarray(n * neighbours, (n + 1) * neighbours)]);
  return {
    shape: [chosen.length, neighbours, ...subject.drawable.shape],
    image: pickPoints(samples, chosen).values,
    nearest: pickPoints(train, near).values,
    ...of(first),
    second: second && of(second),
    labels: labels && Uint32Array.from(chosen, (n) => labels[n]),
    rank: Float32Array.from(chosen, (n) => order.indexOf(n) / order.length),
  };
}

/**
 * Steps for measurements that need the same times for all samples: those of the samples, or 20 of Heun's method if the
 * solver is adaptive, adds noise or jumps.
 */
function sharedSteps(how: SolverOptions) {
  if (isAdaptive(how) || flowSolverOf(how.solver).forwardOnly !== undefined) {
    return { solver: "heun", times: uniformTimes(20) } as const;
  }
  return { solver: how.solver ?? "heun", times: timesOf(how) };
}

/** Length and straightness of the trajectories of the first samples. */
async function alongTrajectories({ subject, options, field, labels, monitor }: MeasurementInput) {
  const { drawable: { shape } } = subject;
  const { courseImages: count, guidance } = options;
  const size = shape.reduce((product, length) => product * length, 1);
  const steps = sharedSteps(options.how);
  const x0 = noise(options.seed, [count, ...shape]);
  const [ratio, straight]: [number[], number[]] = [[], []];
  const course = {
    t: steps.times.slice(0, -1),
    straightness: steps.times.slice(1).fill(0),
    curvature: steps.times.slice(1).fill(0),
  };
  for (let from = 0; from < count; from += batch) {
    const rows = Math.min(batch, count - from);
    const geometry = await flowGeometry(field, slice(x0, 0, from, rows), {
      ...steps,
      batch: rows,
      condition: labels && tensor(labels.slice(from, from + rows)),
    });
    geometry.distance.forEach((distance, n) => {
      ratio.push(geometry.length[n] / distance);
      straight.push(geometry.straightness[n] / size);
      course.t.forEach((_, i) => {
        course.straightness[i] += geometry.deviation[i][n] / size / count;
        course.curvature[i] += geometry.curvature[i][n] * distance / count;
      });
    });
    await monitor.advance(rows * geometry.evaluations * runsPerEvaluation(subject, guidance));
  }
  const figures = {
    path_ratio: { ...meanEstimate(ratio), count },
    straightness: { ...meanEstimate(straight), count },
  };
  return { figures, course };
}

/** Batches of the first test images in the network's range of pixels, with their classes if it takes any. */
function* testBatches(
  { subject: { classes, data, drawable: { shape, normalization } }, sets: { test } }: MeasurementInput,
  limit: number,
): Generator<{ readonly x1: Tensor; readonly rows: number; readonly condition?: Tensor }> {
  const count = Math.min(limit, test.rows);
  for (let from = 0; from < count; from += batch) {
    const rows = Math.min(batch, count - from);
    const { values } = pickPoints(test, Array.from({ length: rows }, (_, n) => from + n));
    const labels = classes > 0 ? data.test.labels?.subarray(from, from + rows) : undefined;
    const x1 = tensor(fromPixels(values, normalization), [rows, ...shape]);
    yield { x1, rows, condition: labels && tensor(Uint32Array.from(labels)) };
  }
}
