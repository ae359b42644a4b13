/** Sending runs to a server: while they are trained, and at the end of a task. */

import { startCommand } from "../run/program_files.ts";
import { RunError, tryLockRun } from "../run/run_folder.ts";
import type { Target } from "./choose_tracking.ts";
import { Mirror } from "./mirror.ts";
import { MlflowClient, ServerError } from "./mlflow_client.ts";
import { nestedRuns, requireRecord, settleRecord } from "./record.ts";

/** Shows a line to the user. */
type Say = (line: string) => void;

/** Waiting times for mirroring a run in progress, in milliseconds. */
export interface Waiting {
  /** Between checks of the run folder. */
  readonly lookMs: number;
  /** Longest pause after failures; pauses double, starting at `lookMs`. */
  readonly outageMs: number;
  /** For the first response at the start of a run, and for progress of the upload at its end. */
  readonly patienceMs: number;
}

const usual: Waiting = { lookMs: 2_000, outageMs: 30_000, patienceMs: 10_000 };
/** Mirrors the folder of a run in progress; what is left to send stays in the folder, not in memory. */
export class LiveMirror {
  readonly #client: MlflowClient;
  readonly #mirror: Mirror;
  readonly #mirroring: Promise<void>;
  #isEnding = false;
  #isLost = false;

  constructor(readonly run: string, readonly target: Target, readonly say: Say, readonly waiting = usual) {
    this.#client = new MlflowClient(target);
    this.#client.onRetry = ({ message }, retry) => {
      if (retry > 1 || this.#mirror.page === undefined) this.#lose(message); // later on, a retry may well succeed
    };
    this.#mirror = new Mirror(run, this.#client, (page) => say(`MLflow shows the run at ${page}`));
    this.#mirroring = this.#mirrorUntilEnd();
  }

  /** Sends the rest, unless the server stops accepting data. */
  async finish(): Promise<void> {
    using _ = this.#client.giveUpAfter(this.waiting.patienceMs);
    this.#isEnding = true;
    try {
      await this.#mirroring;
      await this.#mirror.pass();
    } catch (error) {
      this.say(restLine(error, this.run, this.target));
    }
    for (const [what, why] of Object.entries(this.#mirror.refused)) {
      this.say(`MLflow rejected ${what}: ${why}`);
    }
  }

  async #mirrorUntilEnd(): Promise<void> {
    const { lookMs, outageMs, patienceMs } = this.waiting;
    const late = setTimeout(() => this.#lose(`${this.#client.url} does not respond`), patienceMs);
    for (let failed = 0; !this.#isEnding;) {
      try {
        await this.#mirror.pass();
        if (this.#isLost) this.say("MLflow is back");
        this.#isLost = false;
        failed = 0;
      } catch (error) {
        this.#lose(messageOf(error));
        failed++;
      }
      clearTimeout(late);
      if (!this.#isEnding) await this.#client.pause(Math.min(lookMs * 2 ** failed, outageMs)).catch(() => {});
    }
  }

  /** Reports once per outage that the server receives nothing. */
  #lose(why: string): void {
    if (this.#isLost || this.#isEnding) return;
    this.#isLost = true;
    this.say(
      `MLflow: ${why}; training continues, and its results are kept in ${this.run} and sent when the server is back, ` +
        `or by ${syncCommand(this.run, this.target)}`,
    );
  }
}

/**
 * Sends the missing parts of a run, then of the cells of a study. A running run without a program is marked as killed.
 *
 * @param say called with a line for each run
 * @returns the errors of cells that could not be sent
 */
export async function sendRun(run: string, client: MlflowClient, say: Say): Promise<string[]> {
  await requireRecord(run, "send"); // before leaving a lock file in a folder without a run
  {
    using lock = await tryLockRun(run);
    if (!lock) say(`${run}: nothing sent, because another program is working on it; sync again when it ends`);
    if (!lock) return [];
    await settleRecord(run);
    await sendLocked(run, client, say);
  }
  const failures: string[] = [];
  for (const cell of await nestedRuns(run)) {
    try {
      failures.push(...await sendRun(cell, client, say));
    } catch (error) {
      if (!isOfRun(error)) throw error;
      failures.push(`${cell}: ${error.message}`);
    }
  }
  return failures;
}

/** Sends the missing parts of a run, whose lock the caller holds. @returns the run's page */
export async function sendLocked(run: string, client: MlflowClient, say: Say = () => {}): Promise<string> {
  const mirror = new Mirror(run, client);
  const { points, files } = await mirror.pass();
  const news = points + files === 0 ? "already complete" : `${points} points and ${files} files sent`;
  say(`${run}: ${news}, ${mirror.page}`);
  for (const [path, why] of Object.entries(mirror.refused)) say(`  rejected: ${path}: ${why}`);
  return mirror.page!;
}

/** Whether an error concerns one run only, so that its server may accept others. */
export function isOfRun(error: unknown): error is RunError | ServerError {
  if (!(error instanceof ServerError)) return error instanceof RunError;
  return error.details.status !== undefined || error.details.code !== undefined;
}

/** Sends a run at the end of a task; soon gives up on a server that makes no progress, and says how to send the rest. */
export async function trySending(
  run: string,
  target: Target,
  say: Say,
  send: (client: MlflowClient) => Promise<void>,
): Promise<void> {
  const client = new MlflowClient(target);
  using _ = client.giveUpAfter(usual.patienceMs);
  try {
    await send(client);
  } catch (error) {
    if (!(error instanceof ServerError || error instanceof RunError)) throw error;
    say(restLine(error, run, target));
  }
}

/** Sends a run and its cells at the end of a task. */
export async function trySendingRun(run: string, target: Target, say: Say): Promise<void> {
  await trySending(run, target, say, async (client) => {
    for (const failure of await sendRun(run, client, say)) say(failure);
  });
}

function restLine(error: unknown, run: string, target: Target): string {
  return `MLflow: ${messageOf(error)}; ${syncCommand(run, target)} sends the rest`;
}

/** The command that sends the missing parts of a run to a server. */
function syncCommand(run: string, { address }: Target): string {
  return `${startCommand("sync")} ${run} --mlflow ${address.url}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
