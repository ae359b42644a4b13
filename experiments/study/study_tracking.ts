import { basename, resolve } from "node:path";
import { tryLockRun } from "../run/run_lock.ts";
import { trackingOf } from "../tracking/choose_tracking.ts";
import { newRecord, readRecord, writeRecord } from "../tracking/record.ts";
import type { Ending } from "../tracking/run_tracker.ts";
import { sendLocked, trySending, trySendingRun } from "../tracking/send_run.ts";
import { type Cell, cellFolder, type Study } from "./study.ts";

/** Where a study is recorded. */
export interface StudyTracking {
  /** The server and its experiment, if the command line names them. */
  readonly mlflow: string | null;
  readonly experiment: string | null;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** Longest wait for a program that is sending the study. */
const sendingMs = 300_000;

/**
 * Records a study as a run with nested cells, in its folder and on the chosen server, if any. An unreachable server is
 * updated later.
 *
 * @param status of the study; a launch begins with `RUNNING`
 * @param reason why it failed
 * @throws {ConfigError} if the server cannot be used
 * @throws {RunError} if the folder cannot be written
 */
export async function recordStudy(
  { folder, plan }: Study,
  status: Ending | "RUNNING",
  { mlflow, experiment, say }: StudyTracking,
  reason: string | null = null,
): Promise<void> {
  const choice = await trackingOf({ mlflow, experiment }, folder);
  // Another program that launches the study records the same start; one that only sends it does not record its end.
  using lock = await tryLockRun(folder, status === "RUNNING" ? {} : { waitMs: sendingMs });
  if (!lock && status !== "RUNNING") {
    say(`Cannot record that ${folder} is ${status}: another program is sending it`);
  }
  if (!lock) return;
  await writeRecord(folder, {
    ...await readRecord(folder) ?? newRecord({
      name: basename(resolve(folder)),
      experiment: choice.experiment,
      source: `deno task study ${plan.name}`,
      startedAt: Date.now(),
    }),
    status,
    endedAt: status === "RUNNING" ? null : Date.now(),
    reason,
  });
  const { address, patience } = choice;
  if (!address) return;
  await trySending({ address, patience }, say, async (server) => {
    const { page } = await sendLocked(folder, server);
    say(`MLflow shows the study at ${page}`);
  });
}

/** Sends a cell to the chosen server, or else to the one that already has its run. */
export async function sendCell(
  study: Study,
  cell: Cell,
  { mlflow, experiment, say }: StudyTracking,
): Promise<void> {
  const run = cellFolder(study, cell);
  const { address, patience } = await trackingOf({ mlflow, experiment }, run);
  if (address) await trySendingRun(run, { address, patience }, say);
}
