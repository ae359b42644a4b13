import { join } from "node:path";
import { runFile } from "../run/layout.ts";
import { type Metrics, readMetrics } from "../run/metrics_log.ts";
import { readConfig } from "../settings/training_config.ts";
import { sendCell } from "./study_tracking.ts";
import { nameOf, tryLockCell } from "./cell_lock.ts";
import { type CellMeasures, evaluateCell } from "./evaluate_cell.ts";
import { milestonesOf } from "./milestones.ts";
import { type CellResult, readCellResult, writeCellResult } from "./record.ts";
import type { Cell, Study } from "./study.ts";
import { makeCellFolder } from "./study_folders.ts";
import { type CellOptions, trainCell } from "./train_cell.ts";

/** How a cell ended: measured now or before, run by another program at this moment, or stopped. */
export type CellEnd = "finished" | "busy" | "stopped";

/**
 * Runs a cell of a study, or what is left of it: trains the network, evaluates it, and writes its record.
 *
 * @throws {RunError} if a file cannot be read or written
 * @throws as `runTraining`, `evaluate` and `compareSolvers`
 */
export async function runCell(study: Study, cell: Cell, options: CellOptions): Promise<CellEnd> {
  const lock = await tryLockCell(study, cell);
  if ("holder" in lock) {
    options.say(`${cell.id} is left to ${nameOf(lock.holder)}`);
    return "busy";
  }
  using _ = lock;
  const folder = await makeCellFolder(study, cell);
  if (!await readCellResult(folder)) {
    const signal = AbortSignal.any([options.signal, lock.lost]);
    if (!await trainCell(study, cell, { ...options, signal })) return "stopped";
    const { evaluation } = study.plan;
    const milestones = milestonesOf(cell.steps, evaluation.milestones);
    const measures = await evaluateCell(folder, evaluation, milestones, { ...options, signal });
    if (!measures) return "stopped";
    await writeCellResult(folder, await recordOf(folder, cell, measures));
  }
  await sendCell(study, cell, options);
  return "finished";
}

/**
 * The record of a cell that has been measured.
 *
 * @param folder of its run
 * @throws {RunError} if a file of it cannot be read
 */
export async function recordOf(
  folder: string,
  { id, settings, seed, steps, parameters, multiplyAdds }: Cell,
  { evaluation: { figures }, costs, milestones }: CellMeasures,
): Promise<CellResult> {
  const metrics = await readMetrics(join(folder, runFile.metrics));
  const seconds = secondsUntil(Infinity, metrics);
  const { batchSize } = readConfig(folder);
  const images = steps * batchSize;
  return {
    ...{ cell: id, settings, seed, parameters, multiplyAdds, seconds, images },
    figures: Object.fromEntries(Object.entries(figures).map(([name, { value }]) => [name, value])),
    ...costs.length > 0 && {
      costs: costs.map(({ spec, evaluations, frechet, confident }) => ({
        evaluations: Number(evaluations.toPrecision(9)), // a mean over batches
        ...{ solver: spec, frechet: frechet.value, recognised: confident.value },
      })),
    },
    ...milestones.length > 0 && figures.frechet && {
      course: [
        ...milestones.map(({ step, frechet }) => ({
          images: step * batchSize,
          seconds: secondsUntil(step, metrics),
          frechet,
        })),
        { images, seconds, frechet: figures.frechet.value },
      ],
    },
  };
}

/** Seconds of training until a step, between the lines of the log before and after it: a line has the end of its burst. */
function secondsUntil(step: number, metrics: readonly Metrics[]): number {
  const timed = metrics.flatMap((line) => {
    return "elapsed_seconds" in line ? [{ step: line.step, seconds: Number(line.elapsed_seconds) }] : [];
  });
  const before = timed.findLast((line) => line.step <= step) ?? { step: 0, seconds: 0 };
  const after = timed.find((line) => line.step > step && line.seconds > before.seconds);
  if (!after) return before.seconds;
  return before.seconds +
    (after.seconds - before.seconds) * (step - before.step) / (after.step - before.step);
}
