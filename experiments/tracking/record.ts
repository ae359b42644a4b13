import { userInfo } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { isLocked, readFields, reasonOf, RunError, writeJson } from "../run/run_folder.ts";
import {
  check,
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
import { runFile, runFolder, whenMirrored } from "../run/files.ts";
import { readMetrics } from "../run/metrics_log.ts";

const dataset = fieldsOf({
  name: textField,
  /** SHA-256 of the training images, in hex. */
  digest: textField,
  source: textField,
  channels: count,
  height: count,
  width: count,
  /** Number of classes, 0 for data without labels, and their names by label. */
  classes: count,
  classNames: ifGiven(orNull(listOf(textField))),
  /** Numbers of images, and of damaged ones that were skipped. */
  train: count,
  validation: count,
  test: count,
  damaged: ifGiven(orNull(count)),
});

const checks = {
  /** Version of the files of the run; a newer program reads what version 1 wrote. */
  version: check<1>("1; a newer version of this program wrote it", (value) => value === 1),
  /** Our id, which is the same on every server. */
  id: textField,
  name: textField,
  experiment: textField,
  /** In MLflow's terms. */
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
};

/** The data that a run trains on. */
export type RecordedDataset = Checked<typeof dataset>;

/** Identity and status of a run, the content of `run.json`. Times are milliseconds since 1970. */
export type RunRecord = { readonly [Name in keyof typeof checks]: Checked<typeof checks[Name]> };

const unknown = {
  version: 1 as const,
  endedAt: null,
  reason: null,
  gitBranch: null,
  parameterCount: null,
  dataset: null,
};

/** Creates the record of a new run; omitted facts are unknown. */
export function newRecord(
  about: Pick<RunRecord, "name" | "experiment" | "source" | "startedAt"> & Partial<RunRecord>,
): RunRecord {
  return { id: crypto.randomUUID(), status: "RUNNING", user: userName(), ...unknown, ...about };
}

/** The name of the user; null without one, or without permission to ask. */
function userName(): string | null {
  // Deno requires all three, and its types lack the first.
  const kinds = ["userInfo", "uid", "gid"] as NonNullable<Deno.SysPermissionDescriptor["kind"]>[];
  const may = kinds.every((kind) => Deno.permissions.querySync({ name: "sys", kind }).state === "granted");
  try {
    return may ? userInfo().username : null;
  } catch {
    return null;
  }
}

/** Reads the record of a run; undefined if the folder has none. */
export async function readRecord(folder: string): Promise<RunRecord | undefined> {
  const advice = "correct it, or restore it from a backup";
  return await readFields(join(folder, runFile.record), checks, advice, { ...unknown, user: null });
}

/** Writes the record of a run. */
export async function writeRecord(folder: string, record: RunRecord): Promise<void> {
  await writeJson(join(folder, runFile.record), record);
}

/** The record of a run, if it is one; it counts as killed if it was running and no program works on it any more. */
export async function currentRecord(folder: string): Promise<RunRecord | undefined> {
  const record = await readRecord(folder);
  return record === undefined || await isLocked(folder) ? record : await settled(folder, record);
}

/** Like {@linkcode currentRecord}. @param action for the error, e.g. `send` */
export async function requireRecord(folder: string, action: string): Promise<RunRecord> {
  const record = await currentRecord(folder);
  if (record !== undefined) return record;
  throw new RunError(`Cannot ${action} ${folder}: it is not a run folder (expected ${runFile.record} in it)`);
}

/** Writes what {@linkcode currentRecord} returns, for the holder of the run's lock. */
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
  const times = (await readMetrics(join(folder, runFile.metrics))).map(({ time }) =>
    Math.trunc(Number(time)) || 0
  );
  return { ...record, status: "KILLED", endedAt: times.reduce((a, b) => Math.max(a, b), record.startedAt) };
}

/** A file: its path relative to the run's folder, with `/`, its size, and its time of change in ms since 1970. */
type RunFile = { readonly path: string; readonly size: number; readonly modified: number };

/** Whether a file or folder is never sent: according to the table of files, or because it is hidden or unfinished. */
export function isOwn(path: string): boolean {
  return whenMirrored(path) === "never" || path.endsWith(".tmp") ||
    path.split("/").some((name) => name.startsWith("."));
}

/** The files of a run to send, sorted. */
export async function runFiles(run: string, below = ""): Promise<RunFile[]> {
  const files: RunFile[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(run, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isOwn(isDirectory ? `${path}/` : path)) continue;
    if (isDirectory) files.push(...await runFiles(run, path));
    const info = isFile && await Deno.stat(join(run, path)).catch(() => undefined); // it may have been deleted
    if (info) files.push({ path, size: info.size, modified: info.mtime?.getTime() ?? 0 });
  }
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** The runs nested in a run, which are the cells of a study, sorted by name. */
export function nestedRuns(run: string): Promise<string[]> {
  return runFolders(join(run, runFolder.cells));
}

/** The run folders in a folder, sorted by name and so by time. */
export async function runFolders(root: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(root));
    const folders = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => join(root, name))
      .sort();
    const records = await Promise.allSettled(folders.map((run) => Deno.lstat(join(run, runFile.record))));
    return folders.filter((_, i) => records[i].status === "fulfilled");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`Cannot read ${root}: ${reasonOf(error)}`);
  }
}

/** The study that a run is a cell of; undefined if it is none. */
export function studyOf(run: string): string | undefined {
  const folder = dirname(resolve(run));
  return basename(folder) === runFolder.cells ? dirname(folder) : undefined;
}
