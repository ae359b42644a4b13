import { basename, join, resolve } from "node:path";
import { RunError } from "../run/atomic_write.ts";
import { asText } from "../settings/setting.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readJson } from "../run/contained.ts";
import { nestedRuns } from "./files.ts";
import { readRecord, type RunRecord, writeRecord } from "./record.ts";
import { isLocked } from "../run/run_lock.ts";
import { defaultExperiment } from "./settings.ts";
import { runFile } from "../run/layout.ts";

/**
 * The record of a run as of now: a run that is marked as running but has no program, nor has a run nested in it, was killed.
 * Folders from before `run.json` existed are described by their other files.
 *
 * @returns undefined if the folder holds no run
 * @throws {RunError} if a file cannot be read
 */
export async function currentRecord(folder: string): Promise<RunRecord | undefined> {
  const record = await readRecord(folder) ?? await fromOtherFiles(folder);
  if (record?.status !== "RUNNING" || await isLocked(folder)) return record;
  return await settled(folder, record);
}

/**
 * As `currentRecord`, for a folder that must hold a run.
 *
 * @param what what is tried, for the error, e.g. `send`
 * @throws {RunError} if the folder holds no run, or a file cannot be read
 */
export async function requireRecord(folder: string, what: string): Promise<RunRecord> {
  const record = await currentRecord(folder);
  if (record !== undefined) return record;
  throw new RunError(
    `Cannot ${what} ${folder}: it is not a run folder (expected ${runFile.record} or ${runFile.config} in it)`,
  );
}

/**
 * Writes the record of a run as of now, for instance that it was killed; the caller holds its lock.
 *
 * @throws {RunError} if the folder holds no run, or cannot be read or written
 */
export async function settleRecord(folder: string): Promise<RunRecord> {
  const written = await readRecord(folder);
  const record = written ?? await requireRecord(folder, "send");
  const current = await settled(folder, record);
  if (current !== written) await writeRecord(folder, current);
  return current;
}

/** The record of a run that no program works on. */
async function settled(folder: string, record: RunRecord): Promise<RunRecord> {
  if (record.status !== "RUNNING" || await hasLocked(folder)) return record;
  return { ...record, status: "KILLED", endedAt: await lastActivity(folder, record) };
}

/** Whether a program works on a run that is nested in this one: nobody holds a study while its cells are trained. */
async function hasLocked(folder: string): Promise<boolean> {
  for (const run of await nestedRuns(folder)) if (await isLocked(run)) return true;
  return false;
}

async function fromOtherFiles(folder: string): Promise<RunRecord | undefined> {
  const config = await readJson(join(folder, runFile.config));
  if (config === undefined) return undefined;
  const environment = await readJson(join(folder, runFile.environment)) ?? {};
  const started = Date.parse(asText(environment.startedAt));
  const info = await Deno.stat(join(folder, runFile.config));
  const startedAt = Number.isFinite(started) ? started : info.mtime?.getTime() ?? 0;
  const lines = await readMetrics(join(folder, runFile.metrics));
  const record: RunRecord = {
    id: crypto.randomUUID(),
    name: basename(resolve(folder)),
    experiment: defaultExperiment,
    status: lines.some((line) => "test_loss" in line) ? "FINISHED" : "KILLED",
    startedAt,
    endedAt: null,
    reason: null,
    user: null,
    source: `deno task train:${asText(config.model)}`,
    gitBranch: null,
    parameterCount: null,
    dataset: null,
    standsFor: null,
  };
  return { ...record, endedAt: await lastActivity(folder, record) };
}

/** When a run last wrote something, in milliseconds since 1970. */
async function lastActivity(folder: string, { startedAt }: RunRecord): Promise<number> {
  const lines = await readMetrics(join(folder, runFile.metrics));
  const times = lines.map(({ time, elapsed_seconds: seconds }) =>
    typeof time === "number" ? time : typeof seconds === "number" ? startedAt + 1000 * seconds : startedAt
  );
  return Math.trunc(times.reduce((latest, time) => Math.max(latest, time), startedAt));
}
