import { join } from "node:path";
import { commonOf, earlierCosts, measureSolvers, notMeasured } from "../evaluation/kept_costs.ts";
import { evaluate } from "../evaluation/evaluate.ts";
import { type Evaluation, hasMeasured, readEvaluation } from "../evaluation/evaluation.ts";
import { judgeFor } from "../judge/find_judge.ts";
import { planOf } from "../evaluation/plan.ts";
import { recordEvaluation } from "../evaluation/record.ts";
import type { SolverCost } from "../evaluation/solver_costs.ts";
import { type Subject, subjectOfRun } from "../evaluation/subject.ts";
import type { EvaluationOptions } from "../evaluation/trial.ts";
import type { DataJudge } from "../judge/data_judge.ts";
import { reportPath, writeReport } from "../report/write_report.ts";
import { runFile } from "../run/layout.ts";
import { lockRun } from "../run/run_lock.ts";
import { evaluating } from "../evaluate.ts";
import { isMeasured } from "../training/is_complete.ts";
import { measureMilestones, type Milestone } from "./measure_milestones.ts";
import type { PlannedEvaluation } from "./plan.ts";
import type { CellOptions } from "./train_cell.ts";

/** What was measured of a trained cell. */
export interface CellMeasures {
  readonly evaluation: Evaluation;
  readonly costs: readonly SolverCost[];
  readonly milestones: readonly Milestone[];
}

/**
 * Evaluates the run of a cell as its plan says, and writes what `deno task evaluate` and `deno task solvers` write. What
 * an earlier session measured is kept.
 *
 * @param steps of its training after which it is measured, too
 * @returns undefined if it was stopped
 * @throws as `evaluate` and `compareSolvers`
 */
export async function evaluateCell(
  run: string,
  planned: PlannedEvaluation,
  steps: readonly number[],
  { signal, say, terminal, device }: CellOptions,
): Promise<CellMeasures | undefined> {
  using _ = await lockRun(run);
  const subject = await subjectOfRun(run);
  const judge = await judgeFor(subject.data, { say, signal, ...terminal && { terminal } });
  if (signal.aborted) return undefined;
  const options = optionsOf(planned, subject);
  const evaluation = await earlierEvaluation(run, subject, judge, options) ??
    await evaluated(run, subject, judge, options, signal);
  if (!evaluation) return undefined;
  const costs = judge && planned.solvers.length > 0
    ? await costsOf(run, subject, judge, planned.solvers, {
      ...options,
      signal,
      say,
      device: device.description,
    })
    : [];
  if (!costs) return undefined;
  const { count, seed, guidance } = options;
  const solver = planned.solver ?? subject.drawnBy!; // a run says how it draws
  const milestones = judge
    ? await measureMilestones(run, subject, judge, steps, solver, { count, seed, guidance, signal })
    : [];
  if (!milestones) return undefined;
  await writeReport([run], reportPath([run]));
  return { evaluation, costs, milestones };
}

/** The options of the evaluate task that a plan stands for. */
export function optionsOf(
  { solvers: _, milestones: __, guidance, ...planned }: PlannedEvaluation,
  subject: Subject,
): EvaluationOptions {
  // A network that cannot be guided is drawn from without guidance anyway.
  const isSaid = guidance !== undefined &&
    (guidance !== 1 || subject.classes > 0 || subject.drawable.autoguidance);
  const words = { ...evaluating.resolve({}), ...planned, ...isSaid && { guidance }, help: false, runs: [] };
  return planOf(words, subject, planned.count);
}

/** An evaluation by the same plan that an earlier session, or somebody by hand, wrote and logged. */
async function earlierEvaluation(
  run: string,
  { weights, data: { testOrder } }: Subject,
  judge: DataJudge | undefined,
  asked: EvaluationOptions,
): Promise<Evaluation | undefined> {
  const earlier = await readEvaluation(run);
  const wanted = { weights: weights.sha256, judge: judge?.digest, testOrder, asked };
  const isSame = earlier && hasMeasured(earlier, wanted);
  return isSame && await isMeasured(run, weights.step ?? 0, "eval/test_loss") ? earlier : undefined;
}

async function evaluated(
  run: string,
  subject: Subject,
  judge: DataJudge | undefined,
  options: EvaluationOptions,
  signal: AbortSignal,
): Promise<Evaluation | undefined> {
  const found = await evaluate(subject, judge, options, { signal });
  if (!found) return undefined;
  await recordEvaluation(run, found);
  return found.evaluation;
}

async function costsOf(
  run: string,
  subject: Subject,
  judge: DataJudge,
  specs: readonly string[],
  { count, seed, guidance, device, signal, say }:
    & Pick<EvaluationOptions, "count" | "seed" | "guidance">
    & Pick<CellOptions, "signal" | "say">
    & { readonly device: string },
): Promise<readonly SolverCost[] | undefined> {
  const file = join(run, runFile.solvers);
  const common = commonOf(subject, judge, { count, seed, guidance, device });
  const earlier = await earlierCosts(file, common, say);
  const left = notMeasured(earlier, specs);
  const costs = await measureSolvers(file, earlier, subject, judge, left, { count, seed, guidance, signal });
  return signal.aborted ? undefined : costs.solvers.filter(({ spec }) => specs.includes(spec));
}
