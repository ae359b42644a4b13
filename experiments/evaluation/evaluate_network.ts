import { countMultiplyAdds, currentDevice, tensor, zeros } from "../../kernels/mod.ts";
import { pickPoints } from "../../models/mod.ts";
import { unlessStopped } from "../cli/task.ts";
import { firstIndices } from "../data/dataset.ts";
import { type EvaluatedNetwork, hasFewTestImages } from "./evaluated_network.ts";
import type { Evaluated, EvaluationFigure } from "./evaluation.ts";
import type { EvaluationOptions } from "./evaluation_options.ts";
import { imageSets, Monitor, samplingEvaluations, type Watch } from "./image_sets.ts";
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
  return measurementsWith(judges).reduce(
    (sum, { evaluations }) => sum + (evaluations?.(subject, options) ?? 0),
    samplingEvaluations(subject, options),
  );
}

function measurementsWith(judges: readonly DataJudge[]): readonly Measurement[] {
  return measurements.filter(({ judged }) => judges.length > 0 || !judged);
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
    const { cost, how, sets, ...drawn } = await imageSets(subject, options, monitor);

    // Let each judge look at the samples, and at the images to compare them with.
    const judged: JudgedSets[] = [];
    for (const judge of judges) {
      const view = async (pixels: Float32Array) => {
        await monitor.advance(0);
        return await judge.judge(pixels);
      };
      judged.push({
        judge,
        samples: await view(sets.samples.values),
        test: await view(sets.test.values),
        train: await view(sets.train.values),
        noise: await view(sets.noise.values),
      });
    }

    // Take the measurements in turn, with the cost of each.
    const figures: Record<string, EvaluationFigure> = {};
    const found: Omit<Findings, "figures"> = {};
    for (const { sampled, measure } of measurementsWith(judges)) {
      const [begun, before] = [performance.now(), monitor.evaluations];
      const { figures: measured, ...more } = await measure({
        subject,
        options,
        sets,
        judged,
        monitor,
        ...drawn,
      });
      await monitor.advance(0);
      const evaluations = Math.round(monitor.evaluations - before) + (sampled ? cost.evaluations : 0);
      const seconds = (performance.now() - begun) / 1000 + (sampled ? cost.seconds : 0);
      for (const [key, figure] of Object.entries(measured)) {
        if (figure) figures[key] = { count: options.count, ...figure, evaluations, seconds };
      }
      Object.assign(found, more);
    }

    const { weights, data: { name, digest, classNames } } = subject;
    const { how: _, ...asked } = options;
    const { shown, course, lossByTime } = found;
    const [first] = judged;
    return {
      evaluation: {
        version: 2,
        time: Date.now(),
        seconds: (performance.now() - started) / 1000,
        weights,
        device: currentDevice().description,
        multiplyAdds: multiplyAddsOf(subject),
        dataset: { name, digest, classNames },
        judges: judged.map(({ judge: { name, digest: sha256, accuracy, source, classes }, samples }) => {
          const seen = verdicts(samples.probabilities, classes).classes;
          return { name, sha256, accuracy, source, classes: [...classHistogram(seen, classes)] };
        }),
        asked,
        samples: { count: options.count, seed: options.seed, how, ...cost },
        figures,
        course,
        lossByTime,
      },
      judged: shown,
      live: first && !hasFewTestImages(subject.data)
        ? {
          weights: first.judge.bytes,
          reference: pickPoints(
            first.test.features,
            firstIndices(Math.min(liveRows, first.test.features.rows)),
          ),
        }
        : undefined,
    };
  });
}

/** Multiply-adds of one evaluation of the network for one image. */
function multiplyAddsOf({ drawable: { model, shape }, classes }: EvaluatedNetwork): number {
  return countMultiplyAdds(() => {
    const condition = classes > 0 ? tensor(new Uint32Array(1)) : undefined;
    model.velocity(zeros([1, ...shape]), tensor(new Float32Array(1)), condition);
  });
}
