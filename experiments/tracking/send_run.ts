import { startCommand } from "../run/program_files.ts";
import { RunError, tryLockRun } from "../run/run_folder.ts";
import type { ServerAddress, Target } from "./choose_tracking.ts";
import { endingMs, HttpServer, ServerError } from "./http_server.ts";
import { Mirror } from "./mirror.ts";
import { requireRecord, settleRecord } from "./record.ts";
import { nestedRuns } from "./run_files.ts";

/** The outcome of sending a run. */
export interface Sent {
  readonly run: string;
  /** Number of metric points and of files sent. */
  readonly points: number;
  readonly files: number;
  /** What the server rejected permanently, and why. */
  readonly refused: Readonly<Record<string, string>>;
  /** The run's page; undefined if nothing was sent. */
  readonly page: string | undefined;
  /** Why a nested run was not sent; without a reason, another program is working on the run. */
  readonly error?: RunError | ServerError;
}

const nothing = { points: 0, files: 0, refused: {}, page: undefined };

/** Sends the missing parts of a run to a server, without its nested runs. The caller holds the run's lock. */
export async function sendLocked(run: string, server: HttpServer): Promise<Sent> {
  const mirror = new Mirror(run, server);
  const counts = await mirror.pass();
  return { run, ...counts, refused: mirror.refused, page: mirror.page };
}

/**
 * Sends the missing parts of a run, then of its nested runs. A running run without a program is marked as killed.
 *
 * @throws {ServerError} if the server cannot be reached or rejects a request; an error of a nested run is its outcome
 * @throws {RunError} if it is not a run folder, or cannot be read or written
 */
export async function* sendRun(run: string, server: HttpServer): AsyncGenerator<Sent> {
  await requireRecord(run, "send"); // before leaving a lock file in a folder without a run
  {
    using lock = await tryLockRun(run);
    if (lock) await settleRecord(run);
    yield lock ? await sendLocked(run, server) : { run, ...nothing };
    if (!lock) return;
  }
  for (const nested of await nestedRuns(run)) {
    try {
      yield* sendRun(nested, server);
    } catch (error) {
      if (!isOfRun(error)) throw error;
      yield { run: nested, ...nothing, error };
    }
  }
}

/** Whether an error concerns one run only, so that its server may accept others. */
export function isOfRun(error: unknown): error is RunError | ServerError {
  if (!(error instanceof ServerError)) return error instanceof RunError;
  return error.details.status !== undefined || error.details.code !== undefined;
}

/** Lines for the user: how much of a run was sent, and what the server rejected. */
export function sentLines({ run, points, files, refused, page, error }: Sent): string[] {
  if (error) return [`${run}: ${error.message}`];
  if (page === undefined) {
    return [`${run}: nothing sent, because another program is working on it; sync again when it ends`];
  }
  const news = points + files === 0 ? "already complete" : `${points} points and ${files} files sent`;
  return [
    `${run}: ${news}, ${page}`,
    ...Object.entries(refused).map(([what, why]) => `  rejected: ${what}: ${why}`),
  ];
}

/**
 * Sends a run at the end of a task, or reports why it cannot. Soon gives up on a server that makes no progress, because
 * the rest can be sent later.
 */
export async function trySending(
  run: string,
  { address, patience }: Target,
  say: (line: string) => void,
  send: (server: HttpServer) => Promise<void>,
): Promise<void> {
  const server = new HttpServer(address, patience);
  using _ = server.giveUpAfter(endingMs);
  try {
    await send(server);
  } catch (error) {
    if (!(error instanceof ServerError || error instanceof RunError)) throw error;
    say(restLine(error, run, address));
  }
}

/** Sends a run with `sendRun` at the end of a task, and reports what was sent, or why sending failed. */
export async function trySendingRun(run: string, target: Target, say: (line: string) => void): Promise<void> {
  await trySending(run, target, say, async (server) => {
    for await (const sent of sendRun(run, server)) sentLines(sent).forEach((line) => say(line));
  });
}

/** A line for the user: why a run was not sent completely, and how to send the rest. */
export function restLine(error: unknown, run: string, address: ServerAddress): string {
  const why = error instanceof Error ? error.message : String(error);
  return `MLflow: ${why}; ${syncCommand(run, address)} sends the rest`;
}

/** The command that sends the missing parts of a run to a server. */
export function syncCommand(run: string, { url }: ServerAddress): string {
  return `${startCommand("sync")} ${run} --mlflow ${url}`;
}
