import type { DataJudge } from "../judge/data_judge.ts";
import { proportion } from "../../models/measures/estimate.ts";
import { frechetDistance } from "../measures/feature_distances.ts";
import { makeSolver } from "../settings/solver.ts";
import { drawFor, samplingEvaluations } from "./image_sets.ts";
import { certain } from "./measurements/recognition.ts";
import { verdicts } from "../judge/train_judge.ts";
import { imagesOf } from "./real_images.ts";
import type { SolverCost } from "./solver_costs.ts";
import type { Subject } from "./subject.ts";
import { advanceOf, unlessStopped, type Watch } from "./watch.ts";

/** What solvers are compared on. */
export interface ComparisonOptions extends Watch {
  /** Samples by each solver. */
  readonly count: number;
  /** Seed of their noise. */
  readonly seed: number;
  /** See {@linkcode EvaluationOptions}. */
  readonly guidance: number;
}

/** Evaluations of the network that a comparison takes; a guess for solvers that choose their own steps. */
export function comparisonEvaluations(
  subject: Subject,
  specs: readonly string[],
  options: Pick<ComparisonOptions, "count" | "guidance">,
): number {
  return specs.reduce(
    (sum, spec) => sum + samplingEvaluations(subject, { ...options, how: makeSolver(spec).how }),
    0,
  );
}

/**
 * Draws samples from the same noise by each solver, and judges them. Each result comes as soon as it is known; a stopped
 * comparison ends without the one in work.
 *
 * @param specs as `makeSolver` reads them
 * @throws {MeasureError} if there are too few samples for the Fréchet distance
 * @throws {RunError} if a sample is not finite
 * @throws {SolverError} if a solver cannot go on
 */
export async function* compareSolvers(
  subject: Subject,
  judge: DataJudge,
  specs: readonly string[],
  { count, seed, guidance, ...watch }: ComparisonOptions,
): AsyncGenerator<SolverCost, void, void> {
  const real = imagesOf(subject.data.test, Uint32Array.from({ length: count }, (_, i) => i));
  const { features: reference } = await judge.judge(real.values);
  const advance = advanceOf(watch);
  for (const spec of specs) {
    const { how } = makeSolver(spec);
    const drawn = await unlessStopped(watch, () => drawFor(subject, { count, seed, how, guidance }, advance));
    if (!drawn) return;
    const { pixels, evaluations, runs, seconds } = drawn;
    const { features, probabilities } = await judge.judge(pixels.values);
    const { confidence } = verdicts(probabilities, judge.classes);
    yield {
      ...{ spec, evaluations: evaluations * runs, seconds },
      frechet: frechetDistance(reference, features),
      confident: proportion(confidence.filter((p) => p >= certain).length, count),
    };
  }
}
