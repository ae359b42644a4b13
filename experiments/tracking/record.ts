import { userInfo } from "node:os";
import { join } from "node:path";
import { isLocked, readFields, RunError, writeJson } from "../run/run_folder.ts";
import {
  type Checked,
  count,
  fieldsOf,
  ifGiven,
  listOf,
  oneOf,
  orNull,
  textField,
  time,
} from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { nestedRuns } from "./run_files.ts";

const dataset = fieldsOf({
  name: textField,
  /** SHA-256 of the training images, in hex. */
  digest: textField,
  source: textField,
  channels: count,
  height: count,
  width: count,
  /** Number of classes, 0 for data without labels. */
  classes: count,
  /** Names of the classes by label, if they have names. */
  classNames: ifGiven(orNull(listOf(textField))),
  /** Number of training images. */
  train: count,
  validation: count,
  test: count,
  /** Number of damaged images that were skipped. */
  damaged: ifGiven(orNull(count)),
});

const checks = {
  /** Our id, which is the same on every server. */
  id: textField,
  name: textField,
  experiment: textField,
  /** The status in MLflow's terms. */
  status: oneOf(["RUNNING", "FINISHED", "FAILED", "KILLED"]),
  startedAt: time,
  /** null while the run is running. */
  endedAt: orNull(time),
  /** Why it failed. */
  reason: orNull(textField),
  user: orNull(textField),
  /** The task that created it. */
  source: textField,
  gitBranch: orNull(textField),
  parameterCount: orNull(count),
  dataset: orNull(dataset),
  /** In a comparison, the id of the original run. */
  standsFor: orNull(textField),
};
const record = fieldsOf(checks);

/** The data that a run trains on. */
export type RecordedDataset = Checked<typeof dataset>;

/** Identity and status of a run, the content of `run.json`. Times are milliseconds since 1970. */
export type RunRecord = Checked<typeof record>;

/** Status of a run, in MLflow's terms. */
export type RunStatus = RunRecord["status"];

const unknown = {
  endedAt: null,
  reason: null,
  gitBranch: null,
  parameterCount: null,
  dataset: null,
  standsFor: null,
};

/** Creates the record of a new run; omitted facts are unknown. */
export function newRecord(
  about: Pick<RunRecord, "name" | "experiment" | "source" | "startedAt"> & Partial<RunRecord>,
): RunRecord {
  return { id: crypto.randomUUID(), status: "RUNNING", user: userName(), ...unknown, ...about };
}

/** The name of the user; null without permission to ask. */
function userName(): string | null {
  // Deno requires all three, and its types lack the first.
  const kinds = ["userInfo", "uid", "gid"] as NonNullable<Deno.SysPermissionDescriptor["kind"]>[];
  const may = kinds.every((kind) => Deno.permissions.querySync({ name: "sys", kind }).state === "granted");
  try {
    return may ? userInfo().username : null;
  } catch {
    return null; // a user without a name
  }
}

/**
 * Reads the record of a run.
 *
 * @returns undefined if the folder has none
 * @throws {RunError} if the file cannot be read, or a field is invalid
 */
export async function readRecord(folder: string): Promise<RunRecord | undefined> {
  const advice = "correct it, or restore it from a backup";
  return await readFields(join(folder, runFile.record), checks, advice, { ...unknown, user: null });
}

/** Writes the record of a run. @throws {RunError} if the folder cannot be written */
export async function writeRecord(folder: string, record: RunRecord): Promise<void> {
  await writeJson(join(folder, runFile.record), record);
}

/**
 * The current record of a run: a run marked as running was killed if no program is working on it or on a nested run.
 *
 * @returns undefined if the folder is not a run folder
 * @throws {RunError} if a file cannot be read
 */
export async function currentRecord(folder: string): Promise<RunRecord | undefined> {
  const record = await readRecord(folder);
  return record === undefined || await isLocked(folder) ? record : await settled(folder, record);
}

/**
 * Like `currentRecord`, for a folder that must be a run folder.
 *
 * @param action verb for the error, e.g. `send`
 * @throws {RunError} if it is not a run folder, or a file cannot be read
 */
export async function requireRecord(folder: string, action: string): Promise<RunRecord> {
  const record = await currentRecord(folder);
  if (record !== undefined) return record;
  throw new RunError(`Cannot ${action} ${folder}: it is not a run folder (expected ${runFile.record} in it)`);
}

/**
 * Updates the record of a run, e.g. if it was killed. The caller holds its lock.
 *
 * @returns undefined if the folder is not a run folder
 * @throws {RunError} if the folder cannot be read or written
 */
export async function settleRecord(folder: string): Promise<RunRecord | undefined> {
  const written = await readRecord(folder);
  const current = written && await settled(folder, written);
  if (current && current !== written) await writeRecord(folder, current);
  return current;
}

/** The record of an unlocked run: killed if it was running and no nested run, such as a study's cell, is locked. */
async function settled(folder: string, record: RunRecord): Promise<RunRecord> {
  if (record.status !== "RUNNING") return record;
  for (const nested of await nestedRuns(folder)) if (await isLocked(nested)) return record;
  let endedAt = record.startedAt; // of the last line, if there is one
  for (const { time } of await readMetrics(join(folder, runFile.metrics))) {
    if (typeof time === "number") endedAt = Math.max(endedAt, Math.trunc(time));
  }
  return { ...record, status: "KILLED", endedAt };
}
