import { join } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import { compareSolvers, type ComparisonOptions, measureSolvers } from "../evaluation/solver_comparison.ts";
import { evaluateNetwork } from "../evaluation/evaluate_network.ts";
import { type Evaluation, hasMeasured, readEvaluation, recordEvaluation } from "../evaluation/evaluation.ts";
import { metricOf } from "../evaluation/figures.ts";
import { type EvaluatedNetwork, networkOfRun } from "../evaluation/evaluated_network.ts";
import { type EvaluationOptions, evaluationOptions } from "../evaluation/evaluation_options.ts";
import { type DataJudge, judgesFor } from "../evaluation/judges.ts";
import type { Terminal } from "../cli/progress.ts";
import { reportPath, writeReport } from "../report/write_report.ts";
import { ownModel } from "../cli/model_setting.ts";
import { loadWeights, nameNetwork } from "../networks/own_network.ts";
import {
  findContained,
  formatHolder,
  lockName,
  lockRun,
  nameOfLeftover,
  readIfThere,
  reasonOf,
  RunError,
  tryLock,
} from "../run/run_folder.ts";
import { fileAt, runFile } from "../run/files.ts";
import { ConfigError } from "../cli/setting.ts";
import { trainingConfig } from "../cli/training_config.ts";
import { runTraining } from "../training/run_training.ts";
import { isComplete, isMeasured } from "../training/checkpoint.ts";
import { type CellMeasures, milestonesOf, readCellResult, resultOf, writeCellResult } from "./cell_result.ts";
import type { PlannedEvaluation } from "./plan.ts";
import {
  type Cell,
  cellFolder,
  configOf,
  makeCellFolder,
  makeStudyFolder,
  type Study,
  trainedSettings,
} from "./study.ts";
import { sendCell, type StudyTracking } from "./study_tracking.ts";

export interface CellOptions extends StudyTracking {
  readonly device: Device;
  /** Ends it early, keeping finished work. */
  readonly signal: AbortSignal;
  readonly terminal?: Terminal;
}

/** How a cell ended: finished, now or earlier; busy, because another program runs it; or stopped. */
export type CellEnd = "finished" | "busy" | "stopped";

/**
 * Runs or continues a cell of a study: trains the network, evaluates it, and writes its result.
 *
 * @throws {RunError} if a file cannot be read or written
 * @throws the errors of `runTraining`, `evaluateNetwork` and `compareSolvers`
 */
export async function runCell(study: Study, cell: Cell, options: CellOptions): Promise<CellEnd> {
  const lock = await tryLock(await makeStudyFolder(study, "locks"), cell.id);
  if ("holder" in lock) {
    options.say(`Skipping ${cell.id}: ${formatHolder(lock.holder)} is running it`);
    return "busy";
  }
  using _ = lock;
  const folder = await makeCellFolder(study, cell);
  if (!await readCellResult(folder)) {
    if (!await trainCell(study, cell, options)) return "stopped";
    const measures = await measureCell(folder, study.plan.evaluation, cell, options);
    if (!measures) return "stopped";
    await writeCellResult(folder, await resultOf(folder, cell, measures));
  }
  await sendCell(study, cell, options);
  return "finished";
}

/** Trains or resumes a cell. @returns false if it was stopped before the end */
async function trainCell(study: Study, cell: Cell, options: CellOptions): Promise<boolean> {
  const folder = cellFolder(study, cell);
  const { device, signal, say, terminal, mlflow, experiment } = options;
  const { id, seed, steps } = cell;
  if (await isComplete(folder, steps)) return true;
  const hasState = findContained(join(folder, runFile.state)) !== undefined;
  if (!hasState) await removeUnsaved(folder);
  const config = hasState ? trainingConfig({ resume: folder, ...mlflow !== null && { mlflow } }) : {
    ...configOf(study.plan, trainedSettings(cell), { seed, steps, where: id }),
    out: folder,
    mlflow,
    experiment,
  };
  const own = ownModel(config.model);
  const network = own && await nameNetwork(own.file);
  if (network?.digest !== cell.network) {
    throw new ConfigError(
      `Cannot run ${id}: ${network?.file} has changed since the study was planned (expected the unchanged module, or a ` +
        "new study)",
    );
  }
  const { interrupted } = await runTraining(config, {
    device,
    signal,
    say,
    runName: id,
    keepAt: milestonesOf(steps, study.plan.evaluation.milestones),
    ...terminal && { terminal },
  });
  return !interrupted;
}

/**
 * Removes a run that was killed before its first checkpoint.
 *
 * @throws {RunError} if the folder contains something else, or cannot be removed
 */
export async function removeUnsaved(folder: string): Promise<void> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const other = names.find((name) => !name.startsWith(lockName) && nameOfLeftover(name) === undefined);
    if (other !== undefined && !names.includes(runFile.record)) {
      throw new RunError(
        `Cannot restart ${folder}: found ${other}, but no ${runFile.record} of a run (expected a run, or an empty folder); ` +
          "move it elsewhere",
      );
    }
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    throw error instanceof RunError ? error : new RunError(`Cannot restart ${folder}: ${reasonOf(error)}`);
  }
}

/**
 * Evaluates the run of a cell, and writes the files of `deno task evaluate`. Measurements of
 * earlier sessions are kept.
 *
 * @returns undefined if it was stopped
 */
async function measureCell(
  run: string,
  planned: PlannedEvaluation,
  { steps }: Cell,
  { signal, say, terminal, device }: CellOptions,
): Promise<CellMeasures | undefined> {
  using _ = await lockRun(run);
  const subject = await networkOfRun(run);
  const judges = await judgesFor(subject.data, { say, signal, ...terminal && { terminal } });
  if (signal.aborted) return undefined;
  const options = evaluationOf(planned, subject);
  const evaluation = await evaluateOnce(run, subject, judges, options, signal);
  if (!evaluation) return undefined;
  const { count, seed, guidance } = options;
  const comparison = { count, seed, guidance, signal };
  let costs: CellMeasures["costs"] = [];
  let milestones: CellMeasures["milestones"] = [];
  if (judges.length > 0 && planned.solvers.length > 0) {
    const file = join(run, runFile.solvers);
    const how = { ...comparison, device: device.description, say };
    const { solvers } = await measureSolvers(file, subject, judges, planned.solvers, how);
    costs = solvers.filter(({ spec }) => planned.solvers.includes(spec));
  }
  if (judges.length > 0 && !signal.aborted) {
    const solver = planned.solver ?? subject.drawnBy!; // every run stores its solver
    const at = milestonesOf(steps, planned.milestones);
    milestones = await measureMilestones(run, subject, judges, at, solver, comparison);
  }
  if (signal.aborted) return undefined;
  await writeReport([run], reportPath([run]));
  return { figures: evaluation.figures, costs, milestones };
}

/** The evaluation settings of a network, without guidance if it cannot be guided. */
function evaluationOf(
  { guidance, ...planned }: PlannedEvaluation,
  subject: EvaluatedNetwork,
): EvaluationOptions {
  const canBeGuided = subject.classes > 0 || subject.drawable.autoguidance !== undefined;
  const scale = guidance === 1 && !canBeGuided ? null : guidance;
  return evaluationOptions({ ...planned, guidance: scale }, subject, planned.count);
}

/**
 * Evaluates a run, or reuses an existing evaluation if it measured and logged the same. @returns undefined if it was
 * stopped
 */
async function evaluateOnce(
  run: string,
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  asked: EvaluationOptions,
  signal: AbortSignal,
): Promise<Evaluation | undefined> {
  const { weights } = subject;
  const earlier = await readEvaluation(run);
  const wanted = { weights: weights.sha256, judges: judges.map(({ digest }) => digest), asked };
  if (
    earlier && hasMeasured(earlier, wanted) &&
    await isMeasured(run, weights.step ?? 0, metricOf("velocity_error"))
  ) return earlier;
  const evaluated = await evaluateNetwork(subject, judges, asked, { signal });
  if (evaluated) await recordEvaluation(run, evaluated);
  return evaluated?.evaluation;
}

/** Measures a network at the milestones of its training that have weights. */
async function measureMilestones(
  run: string,
  subject: EvaluatedNetwork,
  judges: readonly DataJudge[],
  steps: readonly number[],
  solver: string,
  options: ComparisonOptions,
): Promise<CellMeasures["milestones"]> {
  const milestones = [];
  for (const step of steps) {
    const path = join(run, fileAt(runFile.weightsAt, step));
    const bytes = await readIfThere(path, run);
    if (!bytes) continue;
    const { model } = await loadWeights(bytes, path);
    const then = { ...subject, drawable: { ...subject.drawable, model } };
    for await (const cost of compareSolvers(then, judges, [solver], options)) milestones.push({ step, cost });
  }
  return milestones;
}
