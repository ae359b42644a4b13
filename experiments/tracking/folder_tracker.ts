import { join } from "node:path";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import { appendMetrics, lineOf, type Metrics, readMetrics, truncateAfterStep } from "../run/metrics_log.ts";
import { rewindCursor } from "./cursor.ts";
import { readRecord, type RunRecord, writeRecord } from "./record.ts";
import type { RunLock } from "../run/run_lock.ts";
import type { Ending, Tracker } from "./tracker.ts";
import { isReplacedMetricsFile, replacedMetricsFile, runFile } from "../run/layout.ts";

/** Milliseconds between measurements of the machine. */
const gaugeMs = 10_000;

/** What is known about a run at its start. */
export interface RunStart {
  /** The part of `run.json` that is known by then. */
  readonly about: Omit<RunRecord, "id" | "status" | "endedAt" | "reason" | "startedAt">;
  readonly startedAt: Date;
  /** The step of the checkpoint that the run continues from; not given for a new run. */
  readonly resumedAt?: number;
  /** Measures the machine, every 10 seconds of training. */
  readonly gauges?: () => Readonly<Record<string, number>>;
}

/** Records a run in its folder, as `run.json` and `metrics.jsonl`. The caller holds the run's lock, so nobody else writes there. */
export class FolderTracker implements Tracker {
  /** The run's folder. */
  readonly run: string;
  readonly #path: string;
  readonly #gauges: () => Readonly<Record<string, number>>;
  #record: RunRecord;
  #gaugedMs = -Infinity;
  /** Lines that earlier sessions wrote after their checkpoints, by what they measure. */
  #replaced = new Map<string, Metrics>();

  private constructor(run: string, record: RunRecord, gauges: RunStart["gauges"]) {
    this.run = run;
    this.#path = join(run, runFile.metrics);
    this.#record = record;
    this.#gauges = gauges ?? (() => ({}));
  }

  /**
   * Starts a run in its folder, or continues one.
   *
   * @param lock the run's lock, which the caller releases after disposing of the tracker
   * @throws {RunError} if the folder cannot be written, or a new run would begin where there is one
   */
  static async start(
    { run }: RunLock,
    { about, startedAt, resumedAt, gauges }: RunStart,
  ): Promise<FolderTracker> {
    const earlier = await readRecord(run);
    if (earlier !== undefined && resumedAt === undefined) {
      throw new RunError(
        `Cannot start a run in ${run}: another program has just started one there (expected a new or empty folder)`,
      );
    }
    const record: RunRecord = {
      id: crypto.randomUUID(),
      ...about,
      startedAt: startedAt.getTime(),
      ...earlier,
      status: "RUNNING",
      endedAt: null,
      reason: null,
    };
    const tracker = new FolderTracker(run, record, gauges);
    if (resumedAt !== undefined) await rewindCursor(run); // before a line goes that a server may have
    await writeRecord(run, record);
    if (resumedAt !== undefined) await tracker.#rewind(resumedAt);
    return tracker;
  }

  log(metrics: Metrics): void {
    const now = performance.now(); // the calendar may jump
    // Only with a training loss: everything else that is logged interrupts the training and lowers its rate.
    const due = "train_loss" in metrics && now - this.#gaugedMs >= gaugeMs;
    if (due) this.#gaugedMs = now;
    const line = { ...metrics, time: Date.now(), ...due && this.#gauges() };
    // A server may have the earlier line. It stores an identical line once, but would keep a different one beside it.
    const same = this.#replaced.get(measured(line));
    appendMetrics(this.#path, same ?? line);
  }

  async end(status: Ending, reason?: string): Promise<void> {
    if (this.#record.status !== "RUNNING") return;
    const endedAt = Math.max(Date.now(), this.#record.startedAt); // the calendar may have gone back
    this.#record = { ...this.#record, status, endedAt, reason: reason ?? null };
    await writeRecord(this.run, this.#record);
  }

  /** A run that has not ended has failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("FAILED");
  }

  /** Goes back to a step; later lines are moved to a separate file. */
  async #rewind(step: number): Promise<void> {
    for (const line of await this.#replacedBefore()) this.#replaced.set(measured(line), line);
    const cut = await truncateAfterStep(this.#path, step);
    if (cut.length === 0) return;
    for (const line of cut) this.#replaced.set(measured(line), line);
    await writeAtomic(
      join(this.run, replacedMetricsFile(Date.now())),
      cut.map(lineOf).join(""),
    );
  }

  /** Lines that earlier resumed sessions cut: this one may measure them anew before it gets to where they ended. */
  async #replacedBefore(): Promise<Metrics[]> {
    const names = (await Array.fromAsync(Deno.readDir(this.run))).map(({ name }) => name);
    const files = names.filter(isReplacedMetricsFile).sort();
    return (await Promise.all(files.map((name) => readMetrics(join(this.run, name))))).flat();
  }
}

/** A line without its time and the state of the machine. */
function measured(line: Metrics): string {
  const kept = Object.entries(line).filter(([key]) =>
    key !== "time" && key !== "elapsed_seconds" && !key.startsWith("system/")
  );
  return JSON.stringify(kept.map(([key, value]) => [key, String(value)]).sort());
}
