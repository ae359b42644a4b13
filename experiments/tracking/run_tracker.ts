import { basename, join, resolve } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import { RunError, type RunLock, writeAtomic } from "../run/run_folder.ts";
import { readCheckout } from "../run/program_files.ts";
import { fileAt, isRunFile, runFile } from "../run/files.ts";
import { appendMetrics, lineOf, type Metrics, readMetrics, truncateAfterStep } from "../run/metrics_log.ts";
import type { Target, TrackingChoice } from "./choose_tracking.ts";
import { rewindCursor } from "./cursor.ts";
import { endingMs, HttpServer } from "./http_server.ts";
import { Mirror } from "./mirror.ts";
import { newRecord, readRecord, type RunRecord, type RunStatus, writeRecord } from "./record.ts";
import { restLine, syncCommand } from "./send_run.ts";

export type Ending = Exclude<RunStatus, "RUNNING">;

/** Options of a tracker at the start of a run. */
export interface TrackingStart {
  readonly choice: TrackingChoice;
  readonly about: Pick<RunRecord, "source" | "parameterCount" | "dataset">;
  readonly startedAt: Date;
  /** The step of the checkpoint that the run continues from; absent for a new run. */
  readonly resumedAt?: number;
  /** Measures the machine every 10 seconds of training. */
  readonly gauges?: () => Readonly<Record<string, number>>;
  /** Shows a line to the user. */
  readonly say: (message: string) => void;
  readonly waiting?: Waiting;
}

/** Waiting times for mirroring a run in progress, in milliseconds. */
export interface Waiting {
  /** Between checks of the run folder. */
  readonly lookMs: number;
  /** Maximum pause before the next attempt after all retries failed; pauses double, starting at `lookMs`. */
  readonly outageMs: number;
  /** For the first response at the start of a run, and for progress of the upload at its end. */
  readonly patienceMs: number;
}

const usual: Waiting = { lookMs: 2_000, outageMs: 30_000, patienceMs: endingMs };

const gaugeMs = 10_000;

/**
 * Records a run in its folder, as `run.json` and `metrics.jsonl`, and mirrors the folder to a server if one was chosen.
 * The caller holds the run's lock, so nobody else writes there. Disposing of the tracker before `end` marks the run as
 * failed.
 */
export class RunTracker implements AsyncDisposable {
  readonly #run: string;
  readonly #path: string;
  readonly #gauges: () => Readonly<Record<string, number>>;
  #record: RunRecord;
  #mirror: LiveMirror | undefined;
  #gaugedMs = -Infinity;
  /** Lines that earlier sessions wrote after their checkpoints, by measurement. */
  readonly #replaced = new Map<string, Metrics>();

  private constructor(run: string, record: RunRecord, gauges: TrackingStart["gauges"]) {
    this.#run = run;
    this.#path = join(run, runFile.metrics);
    this.#record = record;
    this.#gauges = gauges ?? (() => ({}));
  }

  /**
   * Starts or continues recording a run.
   *
   * @param lock the run's lock, which the caller releases after disposing of the tracker
   * @throws {RunError} if the folder cannot be written, or a new run would start in the folder of another
   */
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
    const record: RunRecord = {
      ...earlier ?? newRecord({
        ...about,
        name: choice.runName ?? basename(resolve(run)),
        experiment: choice.experiment,
        gitBranch: readCheckout()?.branch ?? null,
        startedAt: startedAt.getTime(),
      }),
      status: "RUNNING",
      endedAt: null,
      reason: null,
    };
    const tracker = new RunTracker(run, record, gauges);
    if (resumedAt !== undefined) await rewindCursor(run); // before lines are removed that a server may have
    await writeRecord(run, record);
    if (resumedAt !== undefined) await tracker.#rewind(resumedAt);
    if (choice.target) tracker.#mirror = new LiveMirror(run, choice.target, say, waiting);
    return tracker;
  }

  /**
   * Records the measurements at a step. Returns immediately: training never waits for a server.
   *
   * @throws {RunError} if the run folder cannot be written
   */
  log(metrics: Metrics): void {
    const now = performance.now(); // the wall clock may jump
    // Only with a training loss, because all other measurements interrupt training and lower its rate.
    const isDue = "train_loss" in metrics && now - this.#gaugedMs >= gaugeMs;
    if (isDue) this.#gaugedMs = now;
    const line = { ...metrics, time: Date.now(), ...isDue && this.#gauges() };
    // A server may have the earlier line: it stores identical lines once, but would also keep a different one.
    appendMetrics(this.#path, this.#replaced.get(measured(line)) ?? line);
  }

  /**
   * Ends the run; a second call does nothing.
   *
   * @param reason why the run failed
   */
  async end(status: Ending, reason: string | null = null): Promise<void> {
    if (this.#record.status !== "RUNNING") return;
    try {
      const endedAt = Math.max(Date.now(), this.#record.startedAt); // the wall clock may have been set back
      this.#record = { ...this.#record, status, endedAt, reason };
      await writeRecord(this.#run, this.#record);
    } finally {
      await this.#mirror?.finish();
    }
  }

  /** Does the work of the run; an error marks the run as failed, with its message as the reason. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // If the folder cannot be written, this also fails; the first error is the one to report.
      await this.end("FAILED", messageOf(error)).catch(() => {});
      throw error;
    }
  }

  /** Marks a run that has not ended as failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("FAILED");
  }

  /** Goes back to a step, moving later lines to a separate file. */
  async #rewind(step: number): Promise<void> {
    // This session may repeat measurements that earlier resumed sessions removed.
    const names = (await Array.fromAsync(Deno.readDir(this.#run))).map(({ name }) => name);
    const files = names.filter((name) => isRunFile(runFile.replacedMetrics, name)).sort();
    const before = await Promise.all(files.map((name) => readMetrics(join(this.#run, name))));
    const cut = await truncateAfterStep(this.#path, step);
    for (const line of [...before.flat(), ...cut]) this.#replaced.set(measured(line), line);
    if (cut.length === 0) return;
    await writeAtomic(join(this.#run, fileAt(runFile.replacedMetrics, Date.now())), cut.map(lineOf).join(""));
  }
}

/** A key for the measurements of a line, without its time and the state of the machine. */
function measured(line: Metrics): string {
  const kept = Object.entries(line).filter(([key]) =>
    key !== "time" && key !== "elapsed_seconds" && !key.startsWith("system/")
  );
  return JSON.stringify(kept.map(([key, value]) => [key, String(value)]).sort());
}

/**
 * Mirrors the folder of a run in progress. It reads the data to send from the folder, so nothing accumulates in memory
 * while the server is down.
 */
class LiveMirror {
  readonly #http: HttpServer;
  readonly #mirror: Mirror;
  readonly #say: (message: string) => void;
  readonly #waiting: Waiting;
  readonly #mirroring: Promise<void>;
  #isEnding = false;
  #isLost = false;

  constructor(run: string, { address, patience }: Target, say: (message: string) => void, waiting = usual) {
    this.#http = new HttpServer(address, patience);
    this.#mirror = new Mirror(run, this.#http);
    this.#say = say;
    this.#waiting = waiting;
    this.#http.onRetry = ({ message }) => {
      if (this.#mirror.page === undefined) this.#lose(message); // later on, a retry may well succeed
    };
    this.#mirroring = this.#mirrorUntilEnd();
  }

  /** Sends the rest, unless the server stops accepting data. */
  async finish(): Promise<void> {
    using _ = this.#http.giveUpAfter(this.#waiting.patienceMs);
    this.#isEnding = true;
    try {
      await this.#mirroring;
      await this.#pass();
      for (const [what, why] of Object.entries(this.#mirror.refused)) {
        this.#say(`MLflow rejected ${what}: ${why}`);
      }
    } catch (error) {
      this.#say(restLine(error, this.#mirror.run, this.#http.address));
    }
  }

  async #mirrorUntilEnd(): Promise<void> {
    const { lookMs, outageMs, patienceMs } = this.#waiting;
    const late = setTimeout(() => this.#lose(`${this.#http.address.url} does not respond`), patienceMs);
    let failed = 0; // consecutive attempts
    while (!this.#isEnding) {
      try {
        await this.#pass();
        if (this.#isLost) this.#say("MLflow is back");
        this.#isLost = false;
        failed = 0;
      } catch (error) {
        this.#lose(messageOf(error));
        failed++;
      }
      clearTimeout(late);
      if (!this.#isEnding) await this.#http.pause(Math.min(lookMs * 2 ** failed, outageMs));
    }
    clearTimeout(late);
  }

  /** Reports once per outage that the server receives nothing. */
  #lose(why: string): void {
    if (this.#isLost || this.#isEnding) return;
    this.#isLost = true;
    const { run } = this.#mirror;
    this.#say(
      `MLflow: ${why}; training continues, and its results are kept in ${run} and sent when the server is back, or by ` +
        syncCommand(run, this.#http.address),
    );
  }

  async #pass(): Promise<void> {
    const { page: before } = this.#mirror;
    try {
      await this.#mirror.pass();
    } finally {
      const { page } = this.#mirror;
      if (before === undefined && page) this.#say(`MLflow shows the run at ${page}`);
    }
  }
}

/**
 * Measures the machine, under names that MLflow groups as system metrics. A megabyte is 1e6 bytes; the rate is the mean
 * since the last call, and absent while nothing is trained.
 *
 * @param device the device whose memory is measured
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
