/** A study: a folder with a plan, its cells, and their results. */

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Dataset, splitImages } from "../data/dataset.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { checkSampleCount, maxSamples } from "../evaluation/evaluation_options.ts";
import { makeFolder, readFields, reasonOf, RunError, writeJson } from "../run/run_folder.ts";
import { check, count, listOf } from "../run/field_checks.ts";
import { runFile, runFolder } from "../run/files.ts";
import { dataSettingNames } from "../settings/data.ts";
import { ConfigError } from "../cli/settings.ts";
import { runsRoot } from "../tracking/find_run.ts";
import type { RunTrainingOptions } from "../training/run_training.ts";
import { type Cell, cellFields, type PlannedCell } from "./cells.ts";
import { type Plan, readPlan } from "./plan.ts";

/** A plan and its cells, the content of `study.json`. */
export interface Study {
  readonly folder: string;
  readonly plan: Plan;
  /** Samples of each network, and test images to compare them with. */
  readonly count: number;
  readonly cells: readonly Cell[];
}

/** How to run a study: flags, and what the task gives. */
export interface StudyOptions extends Required<Pick<RunTrainingOptions, "terminal" | "signal" | "say">> {
  readonly device: "auto" | "webgpu" | "cpu";
  /** Threads of the CPU device, 0 for one per core. */
  readonly threads: number;
  /** The server and its experiment, if set on the command line. */
  readonly mlflow: string | null;
  readonly experiment: string | null;
  /** The words of the command line, for the record. */
  readonly argv: readonly string[];
}

/** The folder of a cell, which is an ordinary run folder. */
export function cellFolder({ folder }: Pick<Study, "folder">, { id }: Pick<Cell, "id">): string {
  return join(folder, runFolder.cells, id);
}

const studyFields = {
  version: check<2>("2", (value) => value === 2),
  plan: check("a plan", () => true), // read by readPlan()
  count,
  cells: listOf(cellFields),
};

/** Reads the study in a folder, or in the folder of that name among the runs. @returns undefined if there is none */
export async function readStudy(name: string): Promise<Study | undefined> {
  return await readStudyIn(name) ?? await readStudyIn(join(runsRoot, name));
}

async function readStudyIn(folder: string): Promise<Study | undefined> {
  const path = join(folder, runFile.study);
  const json = await readFields(path, studyFields, "restore the file from a backup, or start a new study");
  return json && { folder, plan: readPlan(json.plan, path), count: json.count, cells: json.cells };
}

/** Samples of each network, unless the plan says how many, or the data allows fewer. */
const usualCount = 1000;

/**
 * Starts the study of a plan in a folder, or continues it there; several programs may do so at once.
 *
 * @param planned the cells of the plan
 * @param dryRun check everything, and write nothing
 */
export async function openStudy(
  folder: string,
  plan: Plan,
  planned: readonly PlannedCell[],
  dryRun = false,
): Promise<Study> {
  // Before the study is read, which another program may be starting.
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`Cannot use the folder ${folder}: ${reasonOf(error)}`);
  });
  const known = await readStudyIn(folder);
  const cells = planned.map(({ cell }) => cell);
  if (known) {
    checkUnchanged(known, { plan, cells });
    return known;
  }
  const other = names.find((name) => !name.startsWith("."));
  if (other !== undefined) {
    throw new RunError(
      `Cannot start a study in ${folder}: it holds ${other} but no ${runFile.study} (expected a new or empty folder); ` +
        "choose another one with --out DIR",
    );
  }
  const count = await countFor(plan, planned);
  if (!dryRun) {
    await makeFolder(folder, "");
    await writeJson(join(folder, runFile.study), { version: 2, plan, count, cells });
  }
  return { folder, plan, count, cells };
}

/** Cells of different plans cannot be compared, so a changed plan needs a new folder. */
function checkUnchanged(known: Study, now: Pick<Study, "plan" | "cells">): void {
  const names = Object.keys(now.plan) as (keyof Plan)[];
  const changed = names.find((name) => !isDeepStrictEqual(known.plan[name], now.plan[name]));
  if (changed === undefined && isDeepStrictEqual(known.cells, now.cells)) return;
  let how = "the module of a network or a preset has changed";
  if (changed !== undefined) {
    const [was, is] = [known, now].map(({ plan }) => JSON.stringify(plan[changed]));
    how = `${changed} of its plan is ${was}, now ${is}`;
  }
  throw new ConfigError(
    `Cannot continue the study ${known.folder}: ${how} (expected the same plan, or a new study with --out DIR)`,
  );
}

/** Decides how many samples to draw of each network, before hours of training. */
async function countFor(plan: Plan, planned: readonly PlannedCell[]): Promise<number> {
  const loaded = new Map<string, Promise<Dataset>>();
  const subjects = [];
  for (const { cell, set } of planned) {
    if (cell.seed !== plan.seeds[0]) continue;
    const key = JSON.stringify(dataSettingNames.map((name) => set[name]));
    const data = await loaded.getOrInsertComputed(key, () => loadDataset(set.data ?? undefined, set));
    subjects.push({ data, trained: splitImages(data.train.count, set).train });
  }
  const count = plan.evaluation.count ?? Math.min(usualCount, ...subjects.map(maxSamples));
  for (const subject of subjects) checkSampleCount(count, subject);
  return count;
}
