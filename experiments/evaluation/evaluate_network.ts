import { currentDevice } from "../../kernels/mod.ts";
import { type Judgement, pickPoints } from "../../models/mod.ts";
import { unlessStopped } from "../cli/task.ts";
import { firstIndices } from "../data/dataset.ts";
import { type EvaluatedNetwork, hasFewTestImages } from "./evaluated_network.ts";
import type { Evaluated, EvaluationFigure } from "./evaluation.ts";
import type { EvaluationOptions } from "./evaluation_options.ts";
import { imageSets, Monitor, samplingEvaluations, type SetName, type Watch } from "./image_sets.ts";
import type { DataJudge } from "./judges.ts";
import { type Findings, type JudgedSets, type Measurement, measurements } from "./measurements.ts";
import { classHistogram, verdicts } from "./measures.ts";

/** Number of test images with which a report's page compares fresh samples. */
const liveRows = 500;

/** Expected evaluations of the network, each of one image at one time; adaptive solvers deviate from it. */
export function expectedEvaluations(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  options: EvaluationOptions,
): number {
  return wanted(judges).reduce(
    (sum, { evaluations }) => sum + (evaluations?.(subject, options) ?? 0),
    samplingEvaluations(subject, options),
  );
}

function wanted(judges: readonly DataJudge[]): readonly Measurement[] {
  return (measurements as readonly Measurement[]).filter(({ judged }) => judges.length > 0 || !judged);
}

/**
 * Measures the quality of a network: draws samples, judges them and real images, and takes all measurements. Without
 * judges, figures that need them are left out. Undefined if it was stopped.
 */
export async function evaluateNetwork(
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  options: EvaluationOptions,
  watch: Watch = {},
): Promise<Evaluated | undefined> {
  const monitor = new Monitor(watch);
  return await unlessStopped(watch.signal, async () => {
    const started = performance.now();
    const { cost, how, ...drawn } = await imageSets(subject, options, monitor);
    const judged: JudgedSets[] = [];
    for (const judge of judges) {
      const views: Partial<Record<SetName, Judgement>> = {};
      for (const set of ["samples", "test", "train", "noise"] as const) {
        await monitor.advance(0);
        views[set] = await judge.judge(drawn.sets[set].values);
      }
      judged.push({ judge, ...views as Record<SetName, Judgement> });
    }
    const figures: Record<string, EvaluationFigure> = {};
    let rest: Omit<Findings, "figures"> = {};
    for (const { sampled, measure } of wanted(judges)) {
      const [begun, before] = [performance.now(), monitor.evaluations];
      const { figures: found, ...more } = await measure({ subject, options, judged, monitor, ...drawn });
      await monitor.advance(0);
      const evaluations = Math.round(monitor.evaluations - before) + (sampled ? cost.evaluations : 0);
      const seconds = (performance.now() - begun) / 1000 + (sampled ? cost.seconds : 0);
      for (const [key, figure] of Object.entries(found)) {
        figures[key] = { count: options.count, ...figure!, evaluations, seconds };
      }
      rest = { ...rest, ...more };
    }
    const { shown, ...means } = rest;
    const { weights, data: { name, digest, classNames } } = subject;
    const { how: _, ...asked } = options;
    const [first] = judged;
    const features = first?.test.features;
    const rows = Math.min(liveRows, features?.rows ?? 0);
    return {
      evaluation: {
        version: 2,
        time: Date.now(),
        seconds: (performance.now() - started) / 1000,
        weights,
        device: currentDevice().description,
        dataset: { name, digest, ...classNames && { classNames } },
        judges: judged.map(({ judge: { name, digest: sha256, accuracy, source, classes }, samples }) => ({
          ...{ name, sha256, accuracy, source },
          classes: [...classHistogram(verdicts(samples.probabilities, classes).classes, classes)],
        })),
        asked,
        samples: { count: options.count, seed: options.seed, how, ...cost },
        figures,
        ...means,
      },
      judged: shown,
      live: first && !hasFewTestImages(subject.data)
        ? { weights: first.judge.bytes, reference: pickPoints(features!, firstIndices(rows)) }
        : undefined,
    };
  });
}
