import { firstIndices } from "../data/dataset.ts";
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
  meanEstimate,
  meanLoss,
  noise,
  pickPoints,
  roundTrip,
  type SolverOptions,
  timesOf,
  uniformTimes,
} from "../../models/mod.ts";
import { binByTime } from "./loss_by_time.ts";
import { sourceOf } from "../data/image_source.ts";
import { conditionOf, runsPerEvaluation } from "./image_sets.ts";
import type { Findings, Measurement, MeasurementInput } from "./measurement.ts";

/** Images per batch. */
const batch = 64;
/** Maximum number of test images for the loss; more would not change the figure. */
const maxLosses = 10_000;
/** Relative tolerance of a likelihood; a smaller one changes bits by less than their interval. */
const rtol = 1e-2;
/** Expected evaluations of a likelihood, which uses adaptive steps. */
const likelihoodEvaluations = 50;

/** The error of the velocity on test images, overall and by t. */
export const losses: Measurement = {
  judged: false,
  sampled: false,
  evaluations: ({ data }) => Math.min(data.test.count, maxLosses),
  async measure({ subject: { data, drawable, classes }, options: { seed }, monitor }) {
    const { normalization } = drawable;
    const test = sourceOf(data, "test", { conditional: classes > 0, normalization });
    const heldOut = new HeldOutLoss(drawable.model, test, { batchSize: batch, seed });
    const images = firstIndices(Math.min(data.test.count, maxLosses));
    let counted = 0;
    const measured = await heldOut.losses(images, async (done) => {
      await monitor.advance(done - counted);
      counted = done;
    });
    return {
      figures: { velocity_error: { ...bootstrap(meanLoss(measured), measured.loss), count: images.length } },
      lossByTime: binByTime(measured),
    };
  },
};

/** Trajectories from noise to sample: their length and straightness, and whether the solver finds the way back. */
export const geometry: Measurement = {
  judged: false,
  sampled: false,
  evaluations(subject, { courseImages, how, guidance }) {
    return (runsPerEvaluation(subject, guidance) + 2) * courseImages * evaluationsOf(sharedSteps(how))!;
  },
  async measure(input) {
    const { courseImages: count } = input.options;
    if (count === 0) return { figures: {} };
    const { figures, course } = await straightness(input, count);
    return { course, figures: { ...figures, round_trip: await roundTrips(input, count) } };
  },
};

/**
 * Steps for measurements that need the same times for all samples: those of the samples, or 20 of Heun's method if the
 * solver is adaptive, adds noise or jumps.
 */
function sharedSteps(how: SolverOptions) {
  if (isAdaptive(how) || flowSolverOf(how.solver).forwardDueTo !== undefined) {
    return { solver: "heun", times: uniformTimes(20) } as const;
  }
  return { solver: how.solver ?? "heun", times: timesOf(how) };
}

/** Straightness of the trajectories of the first samples. */
async function straightness(
  { subject, options, field, labels, monitor }: MeasurementInput,
  count: number,
): Promise<Findings> {
  const { shape } = subject.drawable;
  const size = shape.reduce((product, length) => product * length, 1);
  const steps = sharedSteps(options.how);
  const x0 = noise(options.seed, [count, ...shape]);
  const ratio: number[] = [];
  const straight: number[] = [];
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
      ...labels && { condition: tensor(labels.slice(from, from + rows)) },
    });
    geometry.distance.forEach((distance, n) => {
      ratio.push(geometry.length[n] / distance);
      straight.push(geometry.straightness[n] / size);
      course.t.forEach((_, i) => {
        course.straightness[i] += geometry.deviation[i][n] / size / count;
        course.curvature[i] += geometry.curvature[i][n] * distance / count;
      });
    });
    await monitor.advance(rows * geometry.evaluations * runsPerEvaluation(subject, options.guidance));
  }
  const figures = {
    path_ratio: { ...meanEstimate(ratio), count },
    straightness: { ...meanEstimate(straight), count },
  };
  return { figures, course };
}

/** Root mean square errors of test images mapped to noise and back, in pixels from 0 to 1. */
async function roundTrips(
  input: MeasurementInput,
  count: number,
): Promise<Estimate & { readonly count: number }> {
  const { drawable: { model, normalization } } = input.subject;
  const lost: number[] = [];
  for (const { x1, rows, ...condition } of testBatches(input, count)) {
    const steps = sharedSteps(input.options.how);
    const trip = await roundTrip(model, x1, { ...steps, batch: rows, ...condition });
    lost.push(...trip.error.map((error) => error / Math.abs(normalization.scale)));
    await input.monitor.advance(rows * trip.evaluations);
  }
  return { ...meanEstimate(lost), count: lost.length };
}

/** Bits per dimension of test images, from their likelihood under the network without guidance. */
export const bits: Measurement = {
  judged: false,
  sampled: false,
  evaluations: (_, { bitsImages }) => bitsImages * likelihoodEvaluations,
  async measure(input) {
    const { subject: { drawable: { model, normalization } }, options, monitor } = input;
    const perImage: number[] = [];
    let from = 0;
    for (const { x1, rows, ...condition } of testBatches(input, options.bitsImages)) {
      const seed = (options.seed + from) % 2 ** 32;
      const how = { normalization, rtol, batch: rows, seed, ...condition };
      const { bits, evaluations } = await bitsPerDimension(model, x1, how);
      perImage.push(...bits);
      from += rows;
      await monitor.advance(rows * evaluations);
    }
    return {
      figures: perImage.length > 0
        ? { bits_per_dimension: { ...meanEstimate(perImage), count: perImage.length } }
        : {},
    };
  },
};

/** Batches of the first test images in the network's range of pixels, with their classes if it takes any. */
function* testBatches(
  { subject, sets: { test } }: MeasurementInput,
  limit: number,
): Generator<{ readonly x1: Tensor; readonly rows: number; readonly condition?: Tensor }> {
  const { shape, normalization } = subject.drawable;
  const count = Math.min(limit, test.rows);
  for (let from = 0; from < count; from += batch) {
    const rows = Math.min(batch, count - from);
    const { values } = pickPoints(test, Array.from({ length: rows }, (_, n) => from + n));
    const condition = conditionOf(subject, from, rows);
    yield {
      x1: tensor(fromPixels(values, normalization), [rows, ...shape]),
      rows,
      ...condition && { condition },
    };
  }
}
