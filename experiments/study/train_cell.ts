import { join } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import type { Terminal } from "../program/progress.ts";
import { nameOfLeftover, reasonOf, RunError } from "../run/atomic_write.ts";
import { findContained } from "../run/contained.ts";
import { runFile } from "../run/layout.ts";
import { trainingConfig } from "../settings/training_config.ts";
import { isComplete } from "../training/is_complete.ts";
import { runTraining } from "../training/run_training.ts";
import { configOf } from "./cell_settings.ts";
import { milestonesOf } from "./milestones.ts";
import { type Cell, cellFolder, type Study, trainedSettings } from "./study.ts";

/** What the run of a cell needs besides the study. */
export interface CellOptions {
  readonly device: Device;
  /** Ends it early; what is done is kept. */
  readonly signal: AbortSignal;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
  /** Shows progress. */
  readonly terminal?: Terminal;
  /** The server that was asked for on the command line, and its experiment. */
  readonly mlflow: string | null;
  readonly experiment: string | null;
}

/**
 * Trains a cell, or goes on from its checkpoint. The caller holds the cell's lock.
 *
 * @returns false if it was stopped before its end
 * @throws as `runTraining`
 */
export async function trainCell(study: Study, cell: Cell, options: CellOptions): Promise<boolean> {
  const folder = cellFolder(study, cell);
  const { device, signal, say, terminal, mlflow, experiment } = options;
  if (await isComplete(folder, cell.steps)) return true;
  const hasState = findContained(join(folder, runFile.state)) !== undefined;
  if (!hasState) await removeBeginning(folder);
  const { id: where, seed, steps } = cell;
  const config = hasState ? trainingConfig({ resume: folder, ...mlflow !== null && { mlflow } }) : {
    ...configOf(study.plan, trainedSettings(cell), { seed, steps, where }),
    out: folder,
    mlflow,
    experiment,
  };
  const { interrupted } = await runTraining(config, {
    ...{ device, signal, say, runName: cell.id },
    keepAt: milestonesOf(steps, study.plan.evaluation.milestones),
    ...terminal && { terminal },
  });
  return !interrupted;
}

/**
 * Removes what a run left that was killed before its first checkpoint, and nothing else.
 *
 * @throws {RunError} if something else is there, or it cannot be removed
 */
export async function removeBeginning(folder: string): Promise<void> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const other = names.find((name) => name !== runFile.lock && nameOfLeftover(name) === undefined);
    if (other !== undefined && !names.includes(runFile.record)) {
      throw new RunError(
        `Cannot begin ${folder} anew: it holds ${other}, and no ${runFile.record} of a run (expected a run, or an empty folder); move it elsewhere`,
      );
    }
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot begin ${folder} anew: ${reasonOf(error)}`);
  }
}
