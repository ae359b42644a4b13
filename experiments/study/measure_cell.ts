import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { currentDevice } from "../../kernels/mod.ts";
import { evaluateNetwork } from "../evaluation/evaluate_network.ts";
import { type EvaluatedNetwork, networkOfRun } from "../evaluation/evaluated_network.ts";
import { type Evaluation, readEvaluation, recordEvaluation } from "../evaluation/evaluation.ts";
import { type EvaluationOptions, evaluationOptions } from "../evaluation/evaluation_options.ts";
import { valuesOf } from "../evaluation/figures.ts";
import { type DataJudge, type JudgeOptions, judgesFor } from "../evaluation/judges.ts";
import { compareSolvers, measureSolvers, solversFile } from "../evaluation/solver_comparison.ts";
import { loadWeights } from "../networks/own_network.ts";
import { fileAt, runFile } from "../run/files.ts";
import { readIfThere, writeJson } from "../run/run_folder.ts";
import { evaluationOf } from "./plan.ts";
import type { Study } from "./study.ts";

/**
 * Evaluates the run of a cell, like `deno task evaluate`, with the solvers of the plan and at milestones, and records
 * each in the run as it is finished, so that a job that is cut off need not repeat it. The caller holds the run's lock.
 *
 * @param milestones steps of training whose weights the run has kept
 * @returns false if it was stopped
 */
export async function measureCell(
  run: string,
  { plan, count }: Study,
  milestones: readonly number[],
  how: JudgeOptions & { readonly signal: AbortSignal },
): Promise<boolean> {
  const { say, signal } = how;
  const subject = await networkOfRun(run);
  const judges = await judgesFor(subject.data, how);
  if (signal.aborted) return false;
  const { milestones: _, solvers, guidance, ...asked } = evaluationOf(plan);
  const canBeGuided = subject.classes > 0 || subject.drawable.autoguidance !== undefined;
  const options = evaluationOptions(
    { ...asked, count, guidance: guidance === 1 && !canBeGuided ? null : guidance },
    subject,
    count,
  );
  let evaluation = await sameEvaluation(run, subject, judges, options);
  if (!evaluation) {
    const evaluated = await evaluateNetwork(subject, judges, options, { signal });
    if (!evaluated) return false;
    await recordEvaluation(run, evaluated);
    evaluation = evaluated.evaluation;
  }
  const comparison = { count, seed: options.seed, guidance: options.guidance, signal };
  if (judges.length > 0 && solvers.length > 0) {
    const device = currentDevice().description;
    await measureSolvers(solversFile(run), subject, judges, solvers, { ...comparison, device, say });
  }
  const solver = asked.solver ?? subject.drawnBy!; // every run stores its solver
  const measured = [];
  for (const step of judges.length === 0 ? [] : milestones) {
    const path = join(run, fileAt(runFile.weightsAt, step));
    const bytes = await readIfThere(path);
    if (!bytes) continue;
    const { model } = await loadWeights(bytes, path);
    const then = { ...subject, drawable: { ...subject.drawable, model } };
    for await (const { figures } of compareSolvers(then, judges, [solver], comparison)) { // from the same noise
      measured.push({ step, figures: valuesOf(figures) });
    }
  }
  if (signal.aborted) return false;
  await writeJson(join(run, runFile.evaluation), { ...evaluation, milestones: measured });
  return true;
}

/** The evaluation of a run, if it is of the same weights, by the same judges, with the same options. */
async function sameEvaluation(
  run: string,
  { weights }: EvaluatedNetwork,
  judges: readonly DataJudge[],
  { how: _, ...asked }: EvaluationOptions,
): Promise<Evaluation | undefined> {
  const known = await readEvaluation(run);
  if (!known) return undefined;
  const was = [known.weights, known.judges.map(({ sha256 }) => sha256), known.asked];
  const is = [weights, judges.map(({ digest }) => digest), asked];
  return isDeepStrictEqual(was, JSON.parse(JSON.stringify(is))) ? known : undefined;
}

/**
 * The steps at which quality is measured during training: 1/2, 1/4, 1/8, ... of all steps, earliest first.
 *
 * @param count number of milestones; there are fewer if training is too short
 */
export function milestonesOf(steps: number, count: number): number[] {
  const shares = Array.from({ length: count }, (_, k) => Math.ceil(steps / 2 ** (k + 1)));
  return [...new Set(shares)].filter((step) => step < steps).reverse();
}
