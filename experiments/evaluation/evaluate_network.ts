import { currentDevice } from "../../kernels/mod.ts";
import { pickPoints, type Points } from "../../models/mod.ts";
import type { DataJudge } from "./data_judge.ts";
import type { Evaluated, EvaluationFigure, EvaluationOptions } from "./evaluation.ts";
import type { FigureKey } from "./figures.ts";
import { imageSets, samplingEvaluations } from "./image_sets.ts";
import {
  type Findings,
  type ImageSets,
  type JudgedSets,
  type Measurement,
  Monitor,
  type Watch,
} from "./measurement.ts";
import { accuracyScore } from "./accuracy_score.ts";
import { pixelDistance, shrunkLikeness } from "./distance_to_training.ts";
import { bits, geometry, losses } from "./flow.ts";
import { classesSeen, likeness, recognition } from "./judged.ts";
import { copies, spread } from "./variety.ts";
import { type EvaluatedNetwork, hasFewTestImages } from "./evaluated_network.ts";

/** The parts of an evaluation, in order. */
const measurements: readonly Measurement[] = [
  recognition,
  likeness,
  shrunkLikeness,
  pixelDistance,
  accuracyScore,
  spread,
  copies,
  losses,
  geometry,
  bits,
];

/** Number of test images with which a report's page compares fresh samples. */
const liveRows = 500;

/** Expected evaluations of the network, each of one image at one time; adaptive solvers deviate from it. */
export function expectedEvaluations(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  options: EvaluationOptions,
): number {
  return wantedMeasurements(judges).reduce(
    (sum, { evaluations }) => sum + (evaluations?.(subject, options) ?? 0),
    samplingEvaluations(subject, options),
  );
}

/**
 * Measures the quality of a network: draws samples, judges them and real images, and takes all measurements.
 *
 * @param judges none for data without labels; figures that need them are then left out
 * @returns undefined if it was stopped
 */
export async function evaluateNetwork(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  options: EvaluationOptions,
  watch: Watch = {},
): Promise<Evaluated | undefined> {
  const monitor = new Monitor(watch);
  return await monitor.unlessStopped(() => measureAll(subject, judges, options, monitor));
}

async function measureAll(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  options: EvaluationOptions,
  monitor: Monitor,
): Promise<Evaluated> {
  const started = performance.now();
  const { cost, how, ...drawn } = await imageSets(subject, options, monitor);
  const judged: JudgedSets[] = [];
  for (const judge of judges) judged.push(await judgedBy(judge, drawn.sets, monitor));
  const figures: Partial<Record<FigureKey, EvaluationFigure>> = {};
  let rest: Omit<Findings, "figures"> = {};
  for (const { sampled, measure } of wantedMeasurements(judges)) {
    const [begun, before] = [performance.now(), monitor.evaluations];
    const { figures: found, ...more } = await measure({ subject, options, judged, monitor, ...drawn });
    await monitor.advance(0);
    const evaluations = Math.round(monitor.evaluations - before) + (sampled ? cost.evaluations : 0);
    const seconds = (performance.now() - begun) / 1000 + (sampled ? cost.seconds : 0);
    for (const [key, figure] of Object.entries(found)) {
      figures[key as FigureKey] = { count: options.count, ...figure, evaluations, seconds };
    }
    rest = { ...rest, ...more };
  }
  const { shown, ...means } = rest;
  const { weights, data: { name, digest, classNames } } = subject;
  const { how: _, ...asked } = options;
  return {
    evaluation: {
      version: 2,
      time: Date.now(),
      seconds: (performance.now() - started) / 1000,
      weights,
      device: currentDevice().description,
      dataset: { name, digest, ...classNames && { classNames } },
      judges: judged.map(({ judge, samples }) => ({
        name: judge.name,
        sha256: judge.digest,
        accuracy: judge.accuracy,
        source: judge.source,
        classes: classesSeen(samples, judge),
      })),
      asked,
      samples: { count: options.count, seed: options.seed, how, ...cost },
      figures,
      ...means,
    },
    judged: shown,
    live: judged[0] && !hasFewTestImages(subject.data)
      ? { weights: judged[0].judge.bytes, reference: firstRows(judged[0].test.features, liveRows) }
      : undefined,
  };
}

function firstRows(points: Points, most: number): Points {
  return pickPoints(points, Array.from({ length: Math.min(points.rows, most) }, (_, n) => n));
}

/** A judge's verdicts on the sets of images. */
async function judgedBy(judge: DataJudge, sets: ImageSets, monitor: Monitor): Promise<JudgedSets> {
  const judged = async ({ values }: Points) => {
    await monitor.advance(0);
    return await judge.judge(values);
  };
  return {
    judge,
    samples: await judged(sets.samples),
    test: await judged(sets.test),
    train: await judged(sets.train),
    noise: await judged(sets.noise),
  };
}

function wantedMeasurements(judges: readonly DataJudge[]): readonly Measurement[] {
  return measurements.filter(({ judged }) => judges.length > 0 || !judged);
}
