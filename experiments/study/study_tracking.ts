import { taskCommand } from "../run/program_files.ts";
import { basename, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { init } from "../../kernels/mod.ts";
import { print } from "../cli/output.ts";
import { runFile } from "../run/files.ts";
import { appendMetrics, type Metrics, readMetrics } from "../run/metrics_log.ts";
import { tryLockRun } from "../run/run_folder.ts";
import { trackingOf } from "../tracking/choose_tracking.ts";
import { newRecord, readRecord, writeRecord } from "../tracking/record.ts";
import type { Ending } from "../tracking/run_tracker.ts";
import { sendLocked, trySending, trySendingRun } from "../tracking/run_tracker.ts";
import { readResults } from "./cell_result.ts";
import type { LaunchFlags } from "./launcher.ts";
import { passageText } from "./tables.ts";
import { resultFile, writeResults } from "./write_results.ts";
import { type Cell, cellFolder, type Study } from "./study.ts";

/** Where to record a study. */
export interface StudyTracking {
  /** The server and its experiment, if set on the command line. */
  readonly mlflow: string | null;
  readonly experiment: string | null;
  /** The command line of the launch, for the record. */
  readonly command?: string;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** Longest wait for a program that is sending the study. */
const sendingMs = 300_000;

/**
 * Records a study as a run with nested cells, in its folder and on the chosen server, if any. An unreachable server is
 * updated later.
 *
 * @param status the study's status; a launch starts with `RUNNING`
 * @param reason why it failed
 * @param figures its measurements so far; logged if they have changed
 * @throws {ConfigError} if the server cannot be used
 * @throws {RunError} if the folder cannot be written
 */
export async function recordStudy(
  { folder, plan }: Study,
  status: Ending | "RUNNING",
  { mlflow, experiment, command, say }: StudyTracking,
  reason: string | null = null,
  figures?: Metrics,
): Promise<void> {
  const choice = await trackingOf({ mlflow, experiment }, folder);
  // Another launch of the study records the same start, but a program that only sends the study does not record its end.
  using lock = await tryLockRun(folder, status === "RUNNING" ? {} : { waitMs: sendingMs });
  if (!lock && status !== "RUNNING") {
    say(`Cannot record that ${folder} is ${status}: another program is sending it`);
  }
  if (!lock) return;
  await writeRecord(folder, {
    ...await readRecord(folder) ?? newRecord({
      name: basename(resolve(folder)),
      experiment: choice.experiment,
      source: command ?? taskCommand("study", [plan.name]),
      startedAt: Date.now(),
    }),
    status,
    endedAt: status === "RUNNING" ? null : Date.now(),
    reason,
  });
  if (figures) await logFigures(join(folder, runFile.metrics), figures);
  if (!choice.target) return;
  await trySending(folder, choice.target, say, async (server) => {
    const page = await sendLocked(folder, server);
    say(`MLflow shows the study at ${page}`);
  });
}

async function logFigures(path: string, figures: Metrics): Promise<void> {
  const { time: _, ...last } = (await readMetrics(path)).at(-1) ?? { step: -1 };
  if (isDeepStrictEqual(last, figures)) return;
  appendMetrics(path, { ...figures, time: Date.now() });
}

/** Sends a cell to the chosen server, or else to the server that already has its run. */
export async function sendCell(
  study: Study,
  cell: Cell,
  { mlflow, experiment, say }: StudyTracking,
): Promise<void> {
  const run = cellFolder(study, cell);
  const { target } = await trackingOf({ mlflow, experiment }, run);
  if (target) await trySendingRun(run, target, say);
}

/**
 * Writes the results of the finished cells, prints the conclusion, and records the status of the study.
 *
 * @param failed the reason if cells failed; by default read from their records
 * @throws {DeviceError} if the device cannot be used
 * @throws {RunError} if a file cannot be written
 */
export async function collectStudy(
  study: Study,
  { device: kind, threads, ...tracking }: Pick<LaunchFlags, "device" | "threads"> & StudyTracking,
  failed?: string,
): Promise<void> {
  const { say } = tracking;
  const device = await init({ device: kind, threads: threads ?? 0 });
  const { conclusion, metrics, problems } = await writeResults(study.folder).finally(() => device.close());
  problems.forEach((problem) => say(problem));
  print(conclusion.map(passageText).join("\n\n"));
  await recordEnd(study, tracking, failed ?? await failureOf(study), metrics);
  say(`Done; see ${join(study.folder, resultFile.table)} and ${resultFile.report} in the same folder`);
}

/**
 * Records the status of a study that has ended or stopped.
 *
 * @param failed the reason if cells failed
 * @param metrics measurements of the finished cells
 * @throws {RunError} if the folder cannot be written
 */
export async function recordEnd(
  study: Study,
  tracking: StudyTracking,
  failed?: string,
  metrics: Readonly<Record<string, number>> = {},
): Promise<void> {
  const { results: { length: done } } = await readResults(study);
  const all = study.cells.length;
  const status = failed !== undefined ? "FAILED" : done === all ? "FINISHED" : "KILLED";
  const figures = Object.keys(metrics).length > 0 ? { step: done, ...metrics } : undefined;
  await recordStudy(study, status, tracking, failed ?? null, figures);
  tracking.say(`${done} of ${all} cells are finished in ${study.folder}`);
}

/** The reason why cells failed that ran elsewhere or earlier; undefined if none failed. */
async function failureOf(study: Study): Promise<string | undefined> {
  const { unfinished } = await readResults(study);
  if (unfinished.length === 0) return undefined;
  const failed = async (folder: string) => {
    const record = await readRecord(folder).catch(() => undefined); // a damaged record gives no reason
    return record?.status === "FAILED" ? record : undefined;
  };
  const reason = (await failed(study.folder))?.reason; // including cells that failed after training
  if (reason) return reason;
  const ids: string[] = [];
  for (const cell of unfinished) if (await failed(cellFolder(study, cell))) ids.push(cell.id);
  return ids.length > 0 ? failedCells(ids, study.cells.length) : undefined;
}

export function failedCells(ids: readonly string[], of: number): string {
  return `${ids.length} of ${of} cells failed: ${ids.join(", ")}`;
}
