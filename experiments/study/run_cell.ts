import { join } from "node:path";
import { runFile } from "../run/layout.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readConfig } from "../settings/tasks/train_config.ts";
import { sendCell } from "./study_tracking.ts";
import { tryLockCell } from "./cell_lock.ts";
import { type CellMeasures, evaluateCell } from "./evaluate_cell.ts";
import { readStudyRecord, type StudyRecord, writeStudyRecord } from "./record.ts";
import { type Cell, cellFolder, type Study } from "./study.ts";
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
    const { host, pid, since } = lock.holder ?? {};
    const who = pid === undefined
      ? "another program"
      : `process ${pid}${host ? ` on ${host}` : ""} since ${since}`;
    options.say(`${cell.id} is left to ${who}`);
    return "busy";
  }
  using _ = lock;
  const folder = cellFolder(study, cell);
  if (!await readStudyRecord(folder)) {
    const signal = AbortSignal.any([options.signal, lock.lost]);
    if (!await trainCell(study, cell, { ...options, signal })) return "stopped";
    const measures = await evaluateCell(folder, study.plan.evaluation, { ...options, signal });
    if (!measures) return "stopped";
    await writeStudyRecord(folder, await recordOf(folder, cell, measures));
  }
  await sendCell(study, cell, options);
  return "finished";
}

async function recordOf(
  folder: string,
  { id, settings, seed, steps, parameters, multiplyAdds }: Cell,
  { evaluation: { figures }, costs }: CellMeasures,
): Promise<StudyRecord> {
  const metrics = await readMetrics(join(folder, runFile.metrics));
  const seconds = metrics.reduce((most, line) => Math.max(most, Number(line.elapsed_seconds ?? 0)), 0);
  return {
    ...{ cell: id, settings, seed, parameters, multiplyAdds, seconds },
    images: steps * readConfig(folder).batchSize,
    figures: Object.fromEntries(Object.entries(figures).map(([name, { value }]) => [name, value])),
    ...costs.length > 0 && {
      costs: costs.map(({ spec, evaluations, frechet, confident }) => ({
        evaluations: Number(evaluations.toPrecision(9)), // a mean over batches
        ...{ solver: spec, frechet: frechet.value, recognised: confident.value },
      })),
    },
  };
}
