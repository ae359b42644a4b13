import { join } from "node:path";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import {
  count,
  type FieldCheck,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  text,
} from "../run/field_checks.ts";
import { readJson } from "../run/read_file.ts";
import { completePlanChecks, settings, withoutNulls } from "./plan_checks.ts";
import { runsRoot } from "../tracking/find_run.ts";
import type { Cell, Study } from "./study.ts";
import { checkFolders } from "./study_folders.ts";

/** The file of a study's folder that says what the study is. */
export const studyFile = "study.json";

const id: FieldCheck = {
  expected: "letters, digits, dots, hyphens and underscores",
  accepts: (value) => typeof value === "string" && /^\w[\w.-]*$/.test(value),
};

const cell = {
  ...{ id, asked: settings, settings, seed: count, steps: count },
  ...{ parameters: count, multiplyAdds: count, secondsPerStep: ifGiven(finiteNumber) },
} satisfies Readonly<Record<keyof Cell, FieldCheck>>;

const checks = {
  version: { expected: "1", accepts: (value: unknown) => value === 1 },
  ...{ digest: text, plan: fieldsOf(completePlanChecks), cells: listOf(fieldsOf(cell)) },
};

/**
 * Reads the study in a folder.
 *
 * @returns undefined if there is none
 * @throws {RunError} if the file cannot be read or holds no study
 */
export async function readStudy(folder: string): Promise<Study | undefined> {
  const path = join(folder, studyFile);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const problem = fieldProblem(json, checks);
  if (problem !== undefined) {
    throw new RunError(`Cannot read ${path}: ${problem}; take the file from a backup, or begin a new study`);
  }
  const { version: _, ...rest } = json;
  const study = { ...rest, folder } as unknown as Study;
  const { plan } = study;
  return { ...study, plan: { ...plan, evaluation: withoutNulls(plan.evaluation) } };
}

/**
 * Finds the folder of a study by its path, or by its name in the folder of runs.
 *
 * @param root the folder of runs
 * @returns undefined if there is no such study
 */
export async function findStudy(name: string, root: string = runsRoot): Promise<string | undefined> {
  for (const folder of [name, join(root, name)]) {
    const isFile = await Deno.stat(join(folder, studyFile)).then((info) => info.isFile, () => false);
    if (isFile) return folder;
  }
  return undefined;
}

/**
 * Reads the study that must be in a folder.
 *
 * @throws {RunError} if there is none, its file is damaged, or it has a link for a folder
 */
export async function requireStudy(folder: string): Promise<Study> {
  const study = await readStudy(folder);
  if (study) {
    await checkFolders(study);
    return study;
  }
  throw new RunError(
    `Cannot find a study in ${folder}: there is no ${studyFile} (expected the folder of a study)`,
  );
}

/** @throws {RunError} if the file cannot be written */
export async function writeStudy({ folder, digest, plan, cells }: Study): Promise<void> {
  const content = { version: 1, digest, plan, cells };
  await writeAtomic(join(folder, studyFile), JSON.stringify(content, null, 2) + "\n");
}
