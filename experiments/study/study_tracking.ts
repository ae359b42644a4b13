import { basename, resolve } from "node:path";
import { tryLockRun } from "../run/run_lock.ts";
import { MlflowClient } from "../tracking/client.ts";
import { awaitedServer } from "../tracking/http.ts";
import { Mirror } from "../tracking/mirror.ts";
import { readRecord, writeRecord } from "../tracking/record.ts";
import { sayingWhy } from "../tracking/saying_why.ts";
import { sendRun } from "../tracking/send.ts";
import { sentLines } from "../tracking/sent_lines.ts";
import { trackingOf, userName } from "../tracking/start.ts";
import type { Ending } from "../tracking/tracker.ts";
import { type Cell, cellFolder, type Study } from "./study.ts";

/** Where a study is recorded. */
export interface StudyTracking {
  /** The server and its experiment, if the command line names them. */
  readonly mlflow: string | null;
  readonly experiment: string | null;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** How long a program may be sending a study, to a server that does not answer at once. */
const sendingMs = 300_000;

/**
 * Records a study as a run that its cells are nested in, in its folder and on a server if one is chosen. A server that
 * cannot be reached gets what it lacks later.
 *
 * @param status how the study stands; those who launch it begin with `RUNNING`
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
  // Who launches it at the same time records the same; but nobody who only sends it records its end.
  using lock = await tryLockRun(folder, status === "RUNNING" ? {} : { waitMs: sendingMs });
  if (!lock && status !== "RUNNING") {
    say(`Not recorded that ${folder} is ${status}: another program sends it`);
  }
  if (!lock) return;
  const known = await readRecord(folder);
  await writeRecord(folder, {
    id: crypto.randomUUID(),
    name: basename(resolve(folder)),
    experiment: choice.experiment,
    startedAt: Date.now(),
    user: userName(),
    source: `deno task study ${plan.name}`,
    ...{ gitBranch: null, parameterCount: null, dataset: null, standsFor: null },
    ...known,
    status,
    ...{ endedAt: status === "RUNNING" ? null : Date.now(), reason },
  });
  const { address, patience } = choice;
  if (!address) return;
  await sayingWhy(say, async () => {
    let shown = false;
    const client = new MlflowClient(awaitedServer(address, patience));
    const onFound = (page: string) => {
      if (!shown) say(`MLflow shows the study at ${page}`);
      shown = true;
    };
    await new Mirror(folder, client, { onFound }).pass();
  });
}

/** Sends a server what it lacks of a cell, if one is chosen or has the run already. */
export async function sendCell(
  study: Study,
  cell: Cell,
  { mlflow, experiment, say }: StudyTracking,
): Promise<void> {
  const run = cellFolder(study, cell);
  const { address, patience } = await trackingOf({ mlflow, experiment }, run);
  if (!address) return;
  await sayingWhy(say, async () => {
    for await (const sent of sendRun(run, { address, patience })) {
      sentLines(sent).forEach((line) => say(line));
    }
  });
}
