import { join } from "node:path";
import { RunError, writeAtomic } from "../../../run/atomic_write.ts";
import { fieldProblem, listOf, text } from "../../../run/field_checks.ts";
import { readJson } from "../../../run/read_file.ts";
import type { Study } from "../../study.ts";
import { makeStudyFolder, studyFolder } from "../../study_folders.ts";

/** A submitted job array, the content of `slurm/submission-JOB.json`. */
export interface SubmittedArray {
  /** Id of the array. */
  readonly job: string;
  /** Ids of its cells, in the order of its tasks. */
  readonly cells: readonly string[];
  /** When, in ISO 8601. */
  readonly submittedAt: string;
}

const pattern = /^submission-\d+\.json$/;
const checks = { job: text, cells: listOf(text), submittedAt: text };

/** The folder of a study that holds what its jobs print, and notes of what was submitted. */
export function slurmFolder(folder: string): string {
  return join(folder, studyFolder.slurm);
}

/**
 * Makes that folder, if there is none. Slurm writes to it what jobs print, through links too.
 *
 * @throws {RunError} if it cannot be made, or holds a link
 */
export async function makeSlurmFolder(study: Pick<Study, "folder">): Promise<void> {
  const folder = await makeStudyFolder(study, "slurm");
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    if (isFile || isDirectory) continue;
    throw new RunError(`Cannot write to ${folder}: ${name} in it is not a file; remove it`);
  }
}

/** @throws {RunError} if the file cannot be written */
export async function noteSubmission(folder: string, submitted: SubmittedArray): Promise<void> {
  const path = join(slurmFolder(folder), `submission-${submitted.job}.json`);
  await writeAtomic(path, JSON.stringify(submitted, null, 2) + "\n");
}

/**
 * What was submitted of a study; nothing before the first time.
 *
 * @throws {RunError} if a note cannot be read
 */
export async function readSubmissions(folder: string): Promise<SubmittedArray[]> {
  const submissions: SubmittedArray[] = [];
  for (const name of await namesIn(slurmFolder(folder))) {
    if (!pattern.test(name)) continue;
    const path = join(slurmFolder(folder), name);
    const json = await readJson(path) ?? {};
    const problem = fieldProblem(json, checks);
    if (problem !== undefined) {
      throw new RunError(`Cannot read ${path}: ${problem}; delete the file once its job has ended`);
    }
    submissions.push(json as unknown as SubmittedArray);
  }
  return submissions;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
