import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import { proportion } from "../../models/measures/estimate.ts";
import { frechetDistance } from "../measures/frechet.ts";
import { solverSpec } from "../settings/solver_spec.ts";
import { drawFor, samplingEvaluations } from "./image_sets.ts";
import { certain, verdicts } from "./measurements/recognition.ts";
import { imagesOf } from "./real_images.ts";
import type { SolverCost } from "./solver_costs.ts";
import type { Subject } from "./subject.ts";

/** What solvers are compared on. */
export interface ComparisonOptions {
  /** Samples by each solver. */
  readonly count: number;
  /** Seed of their noise. */
  readonly seed: number;
  /** Guidance by the class. */
  readonly guidance: number;
  /** Called with the evaluations of the network that are done. */
  readonly onProgress?: (done: number) => void;
  /** Ends the comparison early. */
  readonly signal?: AbortSignal;
}

/** Evaluations of the network that a comparison takes; a guess for solvers that choose their own steps. */
export function comparisonEvaluations(
  subject: Subject,
  specs: readonly string[],
  options: Pick<ComparisonOptions, "count" | "guidance">,
): number {
  return specs.reduce(
    (sum, spec) => sum + samplingEvaluations(subject, { ...options, how: solverSpec(spec).how }),
    0,
  );
}

/**
 * Draws samples from the same noise by each solver, and judges them. Each result comes as soon as it is known; a stopped
 * comparison ends without the one in work.
 *
 * @param specs as `solverSpec` reads them
 * @throws {MeasureError} if there are too few samples for the Fréchet distance
 * @throws {RunError} if a sample is not finite
 * @throws {SolverError} if a solver cannot go on
 */
export async function* compareSolvers(
  subject: Subject,
  judge: DataJudge,
  specs: readonly string[],
  { count, seed, guidance, onProgress = () => {}, signal }: ComparisonOptions,
): AsyncGenerator<SolverCost, void, void> {
  const real = imagesOf(subject.data.test, Uint32Array.from({ length: count }, (_, i) => i));
  const { features: reference } = await judge.judge(real.values);
  let done = 0;
  const advance = async (evaluations: number) => {
    onProgress(done += evaluations);
    await yieldToSignals();
    signal?.throwIfAborted();
  };
  for (const spec of specs) {
    try {
      const { how } = solverSpec(spec);
      const { pixels, evaluations, runs, seconds } = await drawFor(
        subject,
        { count, seed, how, guidance },
        advance,
      );
      const { features, probabilities } = await judge.judge(pixels.values);
      const { confidence } = verdicts({ probabilities }, judge.classes);
      yield {
        ...{ spec, evaluations: evaluations * runs, seconds },
        frechet: frechetDistance(reference, features),
        confident: proportion(confidence.filter((p) => p >= certain).length, count),
      };
    } catch (error) {
      if (signal?.aborted && error === signal.reason) return;
      throw error;
    }
  }
}
