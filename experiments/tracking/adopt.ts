import { basename, join, resolve } from "node:path";
import { RunError } from "../run/atomic_write.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readJson } from "../run/read_file.ts";
import { readRecord, type RunRecord, writeRecord } from "./record.ts";
import { isLocked } from "../run/run_lock.ts";
import { defaultExperiment } from "./settings.ts";
import { runFile } from "../run/layout.ts";

/**
 * What a folder says of its run, as it stands: a run that nobody works on any more has been killed, whatever it said
 * last, and a folder from before there was a `run.json` is told by its other files.
 *
 * @returns undefined if the folder is no run
 * @throws {RunError} if a file cannot be read
 */
export async function standing(folder: string): Promise<RunRecord | undefined> {
  const record = await readRecord(folder) ?? await fromOtherFiles(folder);
  if (record?.status !== "RUNNING" || await isLocked(folder)) return record;
  return { ...record, status: "KILLED", endedAt: await lastSign(folder, record) };
}

/**
 * As `standing`, of a folder that must be a run.
 *
 * @param what is tried, for the error, e.g. `send`
 * @throws {RunError} if the folder is no run, or a file cannot be read
 */
export async function mustStand(folder: string, what: string): Promise<RunRecord> {
  const record = await standing(folder);
  if (record !== undefined) return record;
  throw new RunError(
    `Cannot ${what} ${folder}: it is no run folder (expected ${runFile.record} or ${runFile.config} in it)`,
  );
}

/**
 * Writes down how a run stands, that is that it was killed; the caller holds its lock.
 *
 * @throws {RunError} if the folder is no run, or cannot be read or written
 */
export async function settle(folder: string): Promise<RunRecord> {
  const written = await readRecord(folder);
  const record = written ?? await mustStand(folder, "send");
  const settled = record.status === "RUNNING"
    ? { ...record, status: "KILLED" as const, endedAt: await lastSign(folder, record) }
    : record;
  if (settled !== written) await writeRecord(folder, settled);
  return settled;
}

async function fromOtherFiles(folder: string): Promise<RunRecord | undefined> {
  const config = await readJson(join(folder, runFile.config));
  if (config === undefined) return undefined;
  const environment = await readJson(join(folder, runFile.environment)) ?? {};
  const started = Date.parse(String(environment.startedAt));
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
    source: `deno task train:${config.model}`,
    gitBranch: null,
    parameterCount: null,
    dataset: null,
    standsFor: null,
  };
  return { ...record, endedAt: await lastSign(folder, record) };
}

/** When a run was last seen alive, milliseconds since 1970. */
async function lastSign(folder: string, { startedAt }: RunRecord): Promise<number> {
  const lines = await readMetrics(join(folder, runFile.metrics));
  const times = lines.map(({ time, elapsed_seconds: seconds }) =>
    typeof time === "number" ? time : typeof seconds === "number" ? startedAt + 1000 * seconds : startedAt
  );
  return Math.trunc(times.reduce((latest, time) => Math.max(latest, time), startedAt));
}
