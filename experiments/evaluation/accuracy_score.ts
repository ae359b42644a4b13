import { proportion } from "../../models/mod.ts";
import { judgedData, type Labelled } from "./data_judge.ts";
import { makeJudge } from "./train_judge.ts";
import type { EvaluationFigure } from "./evaluation.ts";
import { figureKey } from "./figures.ts";
import { realIndices } from "./image_sets.ts";
import type { Findings, Measurement, MeasurementInput } from "./measurement.ts";

/**
 * Classification accuracy score: a classifier of each judge's design is trained only on the samples, and tested on all
 * test images; for comparison, another one is trained on as many training images. What the samples lack, their
 * classifier cannot learn. The interval covers other test images, but not other samples or seeds of training.
 *
 * Source: Ravuri and Vinyals 2019, arXiv:1905.10887
 */
export const accuracyScore: Measurement = {
  judged: true,
  sampled: true,
  async measure(input) {
    const { judged, labels, options, monitor: { watch } } = input;
    const { accuracySteps: steps } = options;
    if (steps === 0 || !labels) return { figures: {} };
    const all = 2 * judged.length * steps;
    let before = 0;
    /** Accuracy of a classifier on test images; undefined if it was stopped. */
    const scoreOf = async (judge: MeasurementInput["judged"][number]["judge"], train: Labelled) => {
      const made = await makeJudge({ ...judgedData(input.subject.data), train }, {
        name: judge.name,
        steps,
        seed: options.seed,
        signal: watch.signal,
        onProgress: (done) => watch.onTrained?.(before + done, all),
      });
      before += steps;
      await input.monitor.advance(0);
      return made!.info.accuracy;
    };
    const figures: Record<string, Omit<EvaluationFigure, "evaluations" | "seconds">> = {};
    const { count } = input.subject.data.test;
    for (const { judge } of judged) {
      const right = Math.round(count * await scoreOf(judge, samplesOf(input, labels)));
      const real = await scoreOf(judge, realOf(input));
      figures[figureKey("accuracy_score", judge.name)] = {
        ...proportion(right, count),
        real,
        realCount: input.sets.train.rows,
      };
    }
    return { figures: figures as Findings["figures"] };
  },
};

/** The samples as a set of images with the classes that were requested. */
function samplesOf({ sets: { samples } }: MeasurementInput, labels: Uint32Array): Labelled {
  const images = Uint8Array.from(samples.values, (value) => Math.round(255 * value));
  return { images, labels: Uint8Array.from(labels), count: samples.rows };
}

/** The real images that samples are compared with, and their classes. */
function realOf({ subject, options, sets: { train } }: MeasurementInput): Labelled {
  const { labels } = judgedData(subject.data).train;
  const indices = realIndices(subject, options);
  return {
    images: Uint8Array.from(train.values, (value) => Math.round(255 * value)),
    labels: Uint8Array.from(indices, (n) => labels[n]),
    count: train.rows,
  };
}
