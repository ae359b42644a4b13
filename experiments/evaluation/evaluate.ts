import { currentDevice } from "../../kernels/mod.ts";
import { pickPoints, type Points } from "../../models/measures/points.ts";
import type { JudgedSamples, LiveJudge } from "../../viz/report/mod.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import type { Evaluation, Figure } from "./evaluation.ts";
import type { FigureName } from "./figures.ts";
import { imageSets, samplingEvaluations } from "./image_sets.ts";
import { measurements } from "./measurements.ts";
import type { Subject } from "./subject.ts";
import type { EvaluationOptions, Measured, Measurement } from "./trial.ts";
import { type Advance, advanceOf, comparedOf, unlessStopped, type Watch } from "./watch.ts";

/** Test images that a report's page compares fresh samples with. */
const liveRows = 500;

/** An evaluation, and samples to look at. */
export interface Evaluated {
  readonly evaluation: Evaluation;
  readonly judged?: JudgedSamples | undefined;
  /** What the report's page judges fresh samples by. */
  readonly live?: LiveJudge | undefined;
}

/**
 * Measures how good a network is.
 *
 * @param judge none for data without labels; figures that need one are then left out
 * @returns undefined if it was stopped
 * @throws {MeasureError} if there are too few samples, or one is not finite
 * @throws {RunError} if a sample is not finite
 */
export async function evaluate(
  subject: Subject,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
  watch: Watch = {},
): Promise<Evaluated | undefined> {
  return await unlessStopped(watch, () => measureAll(subject, judge, options, watch));
}

/** Evaluations of the network, each of one image at one time, that an evaluation takes. */
export function evaluationsOf(
  subject: Subject,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
): number {
  return wantedOf(judge).reduce(
    (sum, measurement) => sum + measurement.evaluations(subject, options),
    samplingEvaluations(subject, options),
  );
}

async function measureAll(
  subject: Subject,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
  watch: Watch,
): Promise<Evaluated> {
  const advance = advanceOf(watch);
  const started = performance.now();
  const { cost, how, ...drawn } = await imageSets(subject, judge, options, advance);
  let counted = 0;
  const counting: Advance = (evaluations) => {
    counted += evaluations;
    return advance(evaluations);
  };
  const trial = { subject, options, judge, advance: counting, compared: comparedOf(watch), ...drawn };
  const figures: Partial<Record<FigureName, Figure>> = {};
  const rest: Pick<Measured, "classes" | "course" | "lossByTime" | "judged"> = {};
  for (const measurement of wantedOf(judge)) {
    const begun = performance.now();
    counted = 0;
    const { figures: found, ...more } = await measurement.measure(trial);
    await advance(0);
    // What was done: beforehand the steps that a solver chooses are a guess.
    const evaluations = Math.round(counted) + (measurement.sampled ? cost.evaluations : 0);
    const seconds = (performance.now() - begun) / 1000 + (measurement.sampled ? cost.seconds : 0);
    for (const [name, figure] of Object.entries(found)) {
      figures[name as FigureName] = { ...figure, evaluations, seconds };
    }
    Object.assign(rest, more);
  }
  const { judged, classes, ...means } = rest;
  const { weights, data: { name, digest, testOrder } } = subject;
  const { how: _, ...asked } = options;
  return {
    evaluation: {
      version: 1,
      time: Date.now(),
      seconds: (performance.now() - started) / 1000,
      weights,
      device: currentDevice().description,
      dataset: { name, digest, ...testOrder && { testOrder } },
      ...judge && { judge: { sha256: judge.digest, accuracy: judge.accuracy, source: judge.source } },
      asked,
      samples: {
        ...{ count: options.count, seed: options.seed, how, ...cost },
        ...classes && { classes },
      },
      figures,
      ...means,
    },
    judged,
    live: judge && { weights: judge.bytes, reference: firstRows(drawn.sets.test.features, liveRows) },
  };
}

function firstRows(points: Points, most: number): Points {
  return pickPoints(points, Array.from({ length: Math.min(points.rows, most) }, (_, n) => n));
}

function wantedOf(judge: DataJudge | undefined): readonly Measurement[] {
  return measurements.filter(({ judged }) => judge !== undefined || !judged);
}
