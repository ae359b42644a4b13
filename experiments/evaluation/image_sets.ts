import { evaluations, noise, type SolverName, solvers, toPixels } from "../../models/mod.ts";
import { drawSamplesInBatches } from "../draw/samples.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import type { Points } from "../judge/points.ts";
import { type Cost } from "./evaluation.ts";
import { asBytes, drawImages, imagesOf } from "./real_images.ts";
import type { Subject } from "./subject.ts";
import type { EvaluationOptions, ImageSets, JudgedImages } from "./trial.ts";

/** Evaluations of the network that drawing the samples takes. */
export function samplingEvaluations(_: Subject, { count, solver, steps }: EvaluationOptions): number {
  return count * evaluations(solvers[solver as SolverName], steps);
}

/** The sets of images that an evaluation compares, all of one size. */
export interface DrawnSets {
  readonly sets: ImageSets;
  readonly asked?: Uint32Array | undefined;
  /** Of the samples. */
  readonly cost: Cost;
  /** How they were drawn, in words. */
  readonly how: string;
}

/**
 * Draws samples and the images to compare them with.
 *
 * @throws {RunError} if a sample is not finite
 */
export async function imageSets(
  subject: Subject,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
  advance: (evaluations: number) => Promise<void>,
): Promise<DrawnSets> {
  const { drawable, data, trained } = subject;
  const { count, seed, solver, steps } = options;
  const started = performance.now();
  const each = evaluations(solvers[solver as SolverName], steps);
  let counted = 0;
  const samples = await drawSamplesInBatches(
    drawable,
    { count, seed, solver: solver as SolverName, steps },
    async (done) => {
      await advance((done - counted) * each);
      counted = done;
    },
  );
  const cost = { evaluations: count * each, seconds: (performance.now() - started) / 1000 };
  const x0 = await noise(seed, [count, ...drawable.shape]).read();
  const all = (images: { count: number }) => Uint32Array.from({ length: images.count }, (_, i) => i);
  const judged = async (pixels: Points): Promise<JudgedImages> => {
    if (!judge) {
      return {
        pixels,
        probabilities: new Float32Array(),
        features: { values: new Float32Array(), rows: 0, width: 0 },
      };
    }
    const judgement = await judge.judge(pixels.values);
    await advance(0);
    return { pixels, ...judgement };
  };
  const rowsOf = (values: Float32Array): Points => ({ values, rows: count, width: values.length / count });
  return {
    sets: {
      samples: await judged(rowsOf(asBytes(samples))),
      test: await judged(imagesOf(data.test, all(data.test).slice(0, count))),
      train: await judged(imagesOf(data.train, drawImages(trained, count, seed))),
      noise: await judged(rowsOf(asBytes(toPixels(x0, drawable.normalization)))),
    },
    cost,
    how: `${solver} with ${steps} steps, ${each} evaluations each`,
  };
}
