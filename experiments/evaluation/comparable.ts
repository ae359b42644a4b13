import { RunError } from "../run/atomic_write.ts";
import { say } from "../program/output.ts";
import { type Evaluation, readEvaluation } from "./evaluation.ts";

/** What evaluations must have in common so that their figures compare, by name and in words. */
const conditions: Readonly<Record<string, (evaluation: Evaluation) => string>> = {
  "data": ({ dataset: { name, digest } }) => `${name} (${digest.slice(0, 12)})`,
  "test images": ({ dataset: { testOrder } }) => testOrder ? "random ones" : "the first of their file",
  "judge": ({ judge }) => judge ? judge.sha256.slice(0, 12) : "none",
  "samples": ({ samples: { count } }) => count.toLocaleString("en"),
};

/**
 * Says why figures of quality that stand side by side cannot be compared.
 *
 * @returns e.g. `Figures of quality of these runs are not comparable (samples: 2,000 or 500)`; undefined if they are
 */
export function qualityWarning(evaluations: readonly Evaluation[]): string | undefined {
  const differing = Object.entries(conditions).flatMap(([name, valueOf]) => {
    const values = new Set(evaluations.map(valueOf));
    return values.size > 1 ? [`${name}: ${[...values].join(" or ")}`] : [];
  });
  if (differing.length === 0) return undefined;
  return `Figures of quality of these runs are not comparable (${differing.join("; ")})`;
}

/** The same for run folders. Of one whose evaluation cannot be read it is told why. */
export async function qualityWarningOf(runs: readonly string[]): Promise<string | undefined> {
  const evaluations: Evaluation[] = [];
  for (const run of runs) {
    try {
      const evaluation = await readEvaluation(run);
      if (evaluation) evaluations.push(evaluation);
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      say(error.message);
    }
  }
  return qualityWarning(evaluations);
}
