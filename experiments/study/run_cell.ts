import { join } from "node:path";
import { init } from "../../kernels/mod.ts";
import { reportPath, writeReport } from "../report/write_report.ts";
import {
  findContained,
  lockName,
  makeFolder,
  reasonOf,
  RunError,
  tryLockRun,
  writeJson,
} from "../run/run_folder.ts";
import { runFile, runFolder } from "../run/files.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readRecord } from "../tracking/record.ts";
import { runTraining } from "../training/run_training.ts";
import { measureCell } from "./measure_cell.ts";
import { type Cell, configOf } from "./plan.ts";
import { readConfig } from "../settings/config_file.ts";
import { resumedRun } from "../settings/decide.ts";
import { cellFolder, type Study, type StudyOptions } from "./study.ts";
import { type CellResult, readResult, resultFile } from "./summary.ts";

/**
 * Runs a cell of a study, or continues it: trains the network, evaluates it, and writes its result.
 *
 * @returns how it ended; it is busy if another program runs it
 */
export async function runCell(
  study: Study,
  cell: Cell,
  options: StudyOptions,
): Promise<"finished" | "finished earlier" | "busy" | "stopped"> {
  const folder = cellFolder(study, cell);
  await makeFolder(join(study.folder, runFolder.cells), cell.id);
  using lock = await tryLockRun(folder);
  if (!lock) return "busy";
  if (await readResult(study, cell)) return "finished earlier";
  const device = await init(options); // each cell has its own, so that a lost one ends no other cell
  try {
    const { signal, say, terminal } = options;
    const how = { signal, say, terminal };
    const keepAt = milestonesOf(cell.steps, study.plan.evaluation.milestones);
    const config = await configFor(study, cell, folder, options);
    if (config) {
      const { interrupted } = await runTraining(config, { ...how, device, lock, runName: cell.id, keepAt });
      if (interrupted) return "stopped";
    }
    say(`Evaluating ${cell.id}`);
    const measures = await measureCell(folder, study, keepAt, how);
    if (!measures) return "stopped";
    await writeReport([folder], reportPath([folder]));
    await writeJson(join(folder, resultFile), await resultOf(study, cell, measures));
    return "finished";
  } finally {
    device.close();
  }
}

/** The settings to train a cell, or to resume it; undefined if it is trained. */
async function configFor(
  study: Study,
  cell: Cell,
  folder: string,
  { mlflow, experiment }: StudyOptions,
) {
  if (!findContained(join(folder, runFile.state))) {
    await clear(folder);
    return { ...configOf(study.plan, cell), out: folder, mlflow, experiment };
  }
  if ((await readRecord(folder))?.status === "FINISHED") return undefined; // with all its files
  return resumedRun({ mlflow: mlflow ?? undefined }, folder, readConfig(folder));
}

/** Removes what a run has left that was killed before its first checkpoint, except its lock. */
async function clear(folder: string): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.startsWith(lockName)) await Deno.remove(join(folder, name), { recursive: true });
    }
  } catch (error) {
    throw new RunError(`Cannot restart ${folder}: ${reasonOf(error)}`);
  }
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

async function resultOf(
  study: Study,
  cell: Cell,
  { milestones, figures, ...measures }: NonNullable<Awaited<ReturnType<typeof measureCell>>>,
): Promise<CellResult> {
  const { id, settings, seed, steps } = cell;
  const folder = cellFolder(study, cell);
  const metrics = await readMetrics(join(folder, runFile.metrics));
  const parameters = (await readRecord(folder))?.parameterCount ?? 0;
  const seconds = Number(metrics.findLast((line) => "elapsed_seconds" in line)?.elapsed_seconds ?? 0);
  const images = steps * configOf(study.plan, cell).batchSize;
  const course = milestones.map(({ step, figures }) => {
    const share = step / steps; // training has a constant speed
    return { images: Math.round(share * images), seconds: share * seconds, figures };
  });
  return {
    ...{ cell: id, settings, seed, parameters, images, seconds, figures, ...measures },
    course: course.length > 0 ? [...course, { images, seconds, figures }] : [],
  };
}
