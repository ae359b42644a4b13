import { currentDevice } from "../../kernels/mod.ts";
import { pickPoints, type Points } from "../../models/mod.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import type { Evaluated, EvaluationFigure, EvaluationOptions } from "./evaluation.ts";
import type { FigureName } from "./figures.ts";
import { imageSets, samplingEvaluations } from "./image_sets.ts";
import { type Findings, type Measurement, Monitor, type Watch } from "./measurement.ts";
import { copies } from "./measurements/copies.ts";
import { bits, geometry, losses } from "./measurements/flow.ts";
import { likeness, recognition } from "./measurements/judged.ts";
import type { EvaluatedNetwork } from "./evaluated_network.ts";

/** The parts of an evaluation, in order. */
const measurements: readonly Measurement[] = [recognition, likeness, copies, losses, geometry, bits];

/** Number of test images that a report's page compares fresh samples with. */
const liveRows = 500;

/** Expected evaluations of the network, each of one image at one time; adaptive solvers deviate from it. */
export function expectedEvaluations(
  subject: EvaluatedNetwork,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
): number {
  return wantedMeasurements(judge).reduce(
    (sum, { evaluations }) => sum + (evaluations?.(subject, options) ?? 0),
    samplingEvaluations(subject, options),
  );
}

/**
 * Measures the quality of a network: draws samples, judges them and real images, and takes all measurements.
 *
 * @param judge undefined for data without labels; figures that need one are then left out
 * @returns undefined if it was stopped
 */
export async function evaluateNetwork(
  subject: EvaluatedNetwork,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
  watch: Watch = {},
): Promise<Evaluated | undefined> {
  const monitor = new Monitor(watch);
  return await monitor.unlessStopped(() => measureAll(subject, judge, options, monitor));
}

async function measureAll(
  subject: EvaluatedNetwork,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
  monitor: Monitor,
): Promise<Evaluated> {
  const started = performance.now();
  const { cost, how, ...drawn } = await imageSets(subject, judge, options, monitor);
  const figures: Partial<Record<FigureName, EvaluationFigure>> = {};
  let rest: Omit<Findings, "figures"> = {};
  for (const { sampled, measure } of wantedMeasurements(judge)) {
    const [begun, before] = [performance.now(), monitor.evaluations];
    const { figures: found, ...more } = await measure({ subject, options, judge, monitor, ...drawn });
    await monitor.advance(0);
    const evaluations = Math.round(monitor.evaluations - before) + (sampled ? cost.evaluations : 0);
    const seconds = (performance.now() - begun) / 1000 + (sampled ? cost.seconds : 0);
    for (const [name, figure] of Object.entries(found)) {
      figures[name as FigureName] = { ...figure, evaluations, seconds };
    }
    rest = { ...rest, ...more };
  }
  const { judged, classes, ...means } = rest;
  const { weights, data: { name, digest, classNames } } = subject;
  const { how: _, ...asked } = options;
  return {
    evaluation: {
      version: 1,
      time: Date.now(),
      seconds: (performance.now() - started) / 1000,
      weights,
      device: currentDevice().description,
      dataset: { name, digest, ...classNames && { classNames } },
      judge: judge && { sha256: judge.digest, accuracy: judge.accuracy, source: judge.source },
      asked,
      samples: { count: options.count, seed: options.seed, how, ...cost, classes },
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

function wantedMeasurements(judge: DataJudge | undefined): readonly Measurement[] {
  return measurements.filter(({ judged }) => judge !== undefined || !judged);
}
