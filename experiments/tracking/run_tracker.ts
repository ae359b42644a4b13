import { basename, join, resolve } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import { RunError, type RunLock, tryLockRun, writeAtomic } from "../run/run_folder.ts";
import { readCheckout, startCommand } from "../run/program_files.ts";
import { fileAt, isRunFile, runFile } from "../run/files.ts";
import { appendMetrics, lineOf, type Metrics, readMetrics, truncateAfterStep } from "../run/metrics_log.ts";
import type { Target, TrackingChoice } from "./choose_tracking.ts";
import { Mirror } from "./mirror.ts";
import { MlflowClient, ServerError } from "./mlflow_client.ts";
import {
  nestedRuns,
  newRecord,
  readRecord,
  requireRecord,
  type RunRecord,
  settleRecord,
  writeRecord,
} from "./record.ts";

/** Shows a line to the user. */
type Say = (line: string) => void;

export type Ending = Exclude<RunRecord["status"], "RUNNING">;

/** Options of a tracker at the start of a run. */
export interface TrackingStart {
  readonly choice: TrackingChoice;
  readonly about: Pick<RunRecord, "source" | "parameterCount" | "dataset">;
  readonly startedAt: Date;
  /** The step of the checkpoint that the run continues from; absent for a new run. */
  readonly resumedAt?: number;
  /** Measures the machine every 10 seconds of training. */
  readonly gauges?: () => Readonly<Record<string, number>>;
  readonly say: Say;
  readonly waiting?: Waiting;
}

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
const gaugeMs = 10_000;

/**
 * Records a run in its folder, as `run.json` and `metrics.jsonl`, and mirrors the folder to a server if one was chosen.
 * The caller holds the run's lock. Disposing of the tracker before `end` marks the run as failed.
 */
export class RunTracker implements AsyncDisposable {
  readonly #path: string;
  #mirror: LiveMirror | undefined;
  #gaugedMs = -Infinity;
  /** Lines that earlier sessions wrote after their checkpoints, by measurement. */
  readonly #replaced = new Map<string, Metrics>();

  private constructor(
    readonly run: string,
    private record: RunRecord,
    readonly gauges: TrackingStart["gauges"],
  ) {
    this.#path = join(run, runFile.metrics);
  }

  /** Starts or continues recording a run, whose lock the caller releases after disposing of the tracker. */
  static async start(
    { run }: RunLock,
    { choice, about, startedAt, resumedAt, gauges, say, waiting }: TrackingStart,
  ): Promise<RunTracker> {
    const earlier = await readRecord(run);
    if (earlier !== undefined && resumedAt === undefined) {
      throw new RunError(
        `Cannot start a run in ${run}: another program just started one there (expected a new or empty folder)`,
      );
    }
    const known = earlier ?? newRecord({
      ...about,
      name: choice.runName ?? basename(resolve(run)),
      experiment: choice.experiment,
      gitBranch: readCheckout()?.branch ?? null,
      startedAt: startedAt.getTime(),
    });
    const record = { ...known, status: "RUNNING", endedAt: null, reason: null } as const;
    const tracker = new RunTracker(run, record, gauges);
    await writeRecord(run, record);
    if (resumedAt !== undefined) await tracker.#rewind(resumedAt);
    if (choice.target) tracker.#mirror = new LiveMirror(run, choice.target, say, waiting);
    return tracker;
  }

  /** Records the measurements at a step; never waits for a server. */
  log(metrics: Metrics): void {
    const now = performance.now(); // the wall clock may jump
    // Only with a training loss, because all other measurements interrupt training and lower its rate.
    const isDue = "train_loss" in metrics && now - this.#gaugedMs >= gaugeMs;
    if (isDue) this.#gaugedMs = now;
    const line = { ...metrics, time: Date.now(), ...isDue && this.gauges?.() };
    // A server may have the earlier line: it stores identical lines once, but would also keep a different one.
    appendMetrics(this.#path, this.#replaced.get(measured(line)) ?? line);
  }

  /** Ends the run; a second call does nothing. @param reason why the run failed */
  async end(status: Ending, reason: string | null = null): Promise<void> {
    if (this.record.status !== "RUNNING") return;
    try {
      const endedAt = Math.max(Date.now(), this.record.startedAt); // the wall clock may have been set back
      this.record = { ...this.record, status, endedAt, reason };
      await writeRecord(this.run, this.record);
    } finally {
      await this.#mirror?.finish();
    }
  }

  /** Does the work of the run; an error marks the run as failed, with its message as the reason. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.end("FAILED", messageOf(error)).catch(() => {}); // the first error is the one to report
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("FAILED");
  }

  /** Goes back to a step, moving later lines to a separate file. */
  async #rewind(step: number): Promise<void> {
    // This session may repeat measurements that earlier resumed sessions removed.
    const names = await Array.fromAsync(Deno.readDir(this.run), ({ name }) => name);
    const files = names.filter((name) => isRunFile(runFile.replacedMetrics, name)).sort();
    const before = await Promise.all(files.map((name) => readMetrics(join(this.run, name))));
    const cut = await truncateAfterStep(this.#path, step);
    for (const line of [...before.flat(), ...cut]) this.#replaced.set(measured(line), line);
    if (cut.length === 0) return;
    await writeAtomic(join(this.run, fileAt(runFile.replacedMetrics, Date.now())), cut.map(lineOf).join(""));
  }
}

/** A key for the measurements of a line, without its time and the state of the machine. */
function measured(line: Metrics): string {
  const kept = Object.entries(line).filter(([key]) =>
    key !== "time" && key !== "elapsed_seconds" && !key.startsWith("system/")
  );
  return JSON.stringify(kept.map(([key, value]) => [key, String(value)]).sort());
}

/** Mirrors the folder of a run in progress; what is left to send stays in the folder, not in memory. */
class LiveMirror {
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
 * Measures the machine, under names that MLflow groups as system metrics. A megabyte is 1e6 bytes; the rate is the mean
 * since the last call, and absent while nothing is trained.
 *
 * @param images number of images trained on so far
 */
export function machineGauges(device: Device, images: () => number): () => Record<string, number> {
  let [ms, seen] = [performance.now(), images()];
  return () => {
    const [nowMs, now] = [performance.now(), images()];
    const rate = nowMs > ms ? 1000 * (now - seen) / (nowMs - ms) : 0;
    [ms, seen] = [nowMs, now];
    return {
      ...rate > 0 && { "system/images_per_second": rate },
      "system/process_memory_megabytes": Deno.memoryUsage().rss / 1e6,
      "system/device_memory_megabytes": device.allocatedBytes / 1e6,
    };
  };
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
