import { basename, join, resolve } from "node:path";
import type { Device } from "../../kernels/mod.ts";
import { RunError, type RunLock, writeAtomic } from "../run/run_folder.ts";
import { readCheckout } from "../run/program_files.ts";
import { fileAt, isRunFile, runFile } from "../run/files.ts";
import { appendMetrics, lineOf, type Metrics, readMetrics, truncateAfterStep } from "../run/metrics_log.ts";
import type { TrackingChoice } from "./choose_tracking.ts";
import type { LiveMirror, Waiting } from "./live_mirror.ts";
import { newRecord, readRecord, type RunRecord, writeRecord } from "./record.ts";

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
    if (choice.target) {
      const { LiveMirror } = await import("./live_mirror.ts");
      tracker.#mirror = new LiveMirror(run, choice.target, say, waiting);
    }
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
