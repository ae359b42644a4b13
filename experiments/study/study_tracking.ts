import { basename, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { tryLockRun } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { appendMetrics, readMetrics } from "../run/metrics_log.ts";
import { taskCommand } from "../run/program_files.ts";
import { trackingOf } from "../tracking/choose_tracking.ts";
import { newRecord, type RunRecord, settleRecord, writeRecord } from "../tracking/record.ts";
import { sendLocked, trySending, trySendingRun } from "../tracking/live_mirror.ts";
import type { Cell } from "./cells.ts";
import { cellFolder, type Study, type StudyOptions } from "./study.ts";

/**
 * Records a study as a running run in its folder, with cells as nested runs, and sends it to the chosen server, if any,
 * which must have it before its cells.
 */
export function startStudy(study: Study, tracking: StudyOptions): Promise<void> {
  return record(study, tracking, () => Promise.resolve({ status: "RUNNING", endedAt: null, reason: null }));
}

/**
 * Records that the cells have run, and how the finished ones are; other programs may still run some.
 *
 * @param failure why cells failed
 */
export function endStudy(
  study: Study,
  { metrics: figures, isFinished }: {
    readonly metrics: Readonly<Record<string, number>>;
    readonly isFinished: boolean;
  },
  tracking: StudyOptions,
  failure?: string,
): Promise<void> {
  return record(study, tracking, async ({ status, endedAt }) => {
    const path = join(study.folder, runFile.metrics);
    const { time: _, step, ...last } = (await readMetrics(path)).at(-1) ?? { step: 0 };
    const isNew = Object.keys(figures).length > 0 && !isDeepStrictEqual(last, figures);
    if (isNew) appendMetrics(path, { step: step + 1, ...figures, time: Date.now() });
    if (!isFinished && failure === undefined) return { status, endedAt };
    return { status: failure ? "FAILED" : "FINISHED", endedAt: Date.now(), reason: failure ?? null };
  });
}

/** Longest wait for a program that is recording or sending the study. */
const waitMs = 300_000;

async function record(
  { folder }: Study,
  { mlflow, experiment, argv, say }: StudyOptions,
  change: (earlier: RunRecord) => Promise<Partial<RunRecord>>,
): Promise<void> {
  const choice = await trackingOf({ mlflow, experiment }, folder);
  using lock = await tryLockRun(folder, { waitMs });
  if (!lock) return say(`Cannot record ${folder}: another program is sending it`);
  const source = taskCommand("study", argv);
  const earlier = await settleRecord(folder) ??
    newRecord({
      name: basename(resolve(folder)),
      experiment: choice.experiment,
      source,
      startedAt: Date.now(),
    });
  await writeRecord(folder, { ...earlier, ...await change(earlier) });
  if (!choice.target) return;
  await trySending(folder, choice.target, say, async (server) => {
    const page = await sendLocked(folder, server);
    say(`MLflow shows the study at ${page}`);
  });
}

/** Sends a finished cell to the chosen server, or else to the one that already has its run. */
export async function sendCell(
  study: Study,
  cell: Cell,
  { mlflow, experiment, say }: StudyOptions,
): Promise<void> {
  const run = cellFolder(study, cell);
  const { target } = await trackingOf({ mlflow, experiment }, run);
  if (target) await trySendingRun(run, target, say);
}
