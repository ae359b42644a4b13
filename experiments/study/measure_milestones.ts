import { join } from "node:path";
import { loadCheckpoint } from "../../models/mod.ts";
import { compareSolvers, type ComparisonOptions } from "../evaluation/compare_solvers.ts";
import type { Subject } from "../evaluation/subject.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import { weightsAtFile } from "../run/layout.ts";
import { readIfThere } from "../run/read_file.ts";

/** The quality of a network after some steps of its training. */
export interface Milestone {
  readonly step: number;
  /** Fréchet distance of samples from the same noise as at the end. */
  readonly frechet: number;
}

/**
 * Measures a network at milestones of its training, by the weights that were kept there; those that were not are left out.
 *
 * @param solver as `makeSolver` reads it
 * @returns undefined if it was stopped
 * @throws {RunError} if a file of weights leads out of the run, or cannot be read
 * @throws {SafetensorsError} if one is damaged
 * @throws as `compareSolvers`
 */
export async function measureMilestones(
  run: string,
  subject: Subject,
  judge: DataJudge,
  steps: readonly number[],
  solver: string,
  { signal, ...options }: ComparisonOptions & { readonly signal: AbortSignal },
): Promise<Milestone[] | undefined> {
  const milestones: Milestone[] = [];
  for (const step of steps) {
    const path = join(run, weightsAtFile(step));
    const bytes = await readIfThere(path, run);
    if (!bytes) continue;
    const then = { ...subject, drawable: { ...subject.drawable, model: loadCheckpoint(bytes, path).model } };
    for await (const { frechet } of compareSolvers(then, judge, [solver], { ...options, signal })) {
      milestones.push({ step, frechet: frechet.value });
    }
    if (signal.aborted) return undefined;
  }
  return milestones;
}
