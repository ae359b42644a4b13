import { join } from "node:path";
import {
  type BatchOrder,
  createSchedule,
  progressAt,
  type Schedule,
  scheduleSettings,
} from "../../models/mod.ts";
import type { Dataset, ImageSplit } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import { TrainingError } from "../program/task.ts";
import { findContained } from "../run/contained.ts";
import { runFile } from "../run/layout.ts";
import { readMetrics } from "../run/metrics_log.ts";
import type { TrainingConfig } from "../settings/training.ts";
import { readRecord } from "../tracking/record.ts";
import type { Network } from "./network.ts";

/** One session of a training run; another may resume it. */
export interface TrainingSession {
  readonly config: TrainingConfig;
  /** The run's folder. */
  readonly run: string;
  readonly data: Dataset;
  readonly images: ImageSplit;
  readonly network: Network;
  readonly source: ImageSource;
  /** Steps after which averaged weights are kept. */
  readonly keepAt: readonly number[];
  /** Saves and ends the session early. */
  readonly signal: AbortSignal;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** How a training session ended. */
export interface TrainingOutcome {
  /** Steps of the run, over all sessions. */
  readonly step: number;
  /** Whether it stopped before the end of the run. */
  readonly interrupted: boolean;
  readonly valLoss: number | undefined;
  readonly testLoss: number | undefined;
  /** Training rate of this session. */
  readonly imagesPerSecond: number;
}

/** Makes the learning-rate schedule of a configuration. */
export function scheduleOf(
  { schedule, lr, warmUp: warmup, plateauFactor: factor, plateauPatience: patience }: TrainingConfig,
): Schedule {
  const known = scheduleSettings(schedule);
  const settings = Object.entries({ warmup, factor, patience }).filter(([name]) => known.includes(name));
  return createSchedule(schedule, lr, Object.fromEntries(settings));
}

/** Steps of a run; Infinity if it is limited by minutes alone. */
export function lengthOf(
  { epochs, maxSteps }: Pick<TrainingConfig, "epochs" | "maxSteps">,
  order: BatchOrder,
): number {
  return Math.min(epochs > 0 ? order.stepsFor(epochs) : Infinity, maxSteps > 0 ? maxSteps : Infinity);
}

/**
 * Checks that a new length of a resumed run does not move its learning rate, as it does if the schedule follows the
 * length.
 *
 * @param step the step of the checkpoint
 * @param earlier steps of the run before
 * @param now steps of the run now; Infinity if it is limited by minutes alone
 * @throws {TrainingError} if the rate would change by more than 1 %
 */
export function checkLength(
  { run, config }: Pick<TrainingSession, "run" | "config">,
  schedule: Schedule,
  step: number,
  earlier: number,
  now: number,
): void {
  if (step === 0) return;
  const rateIn = (steps: number) => schedule.learningRate(progressAt(step, steps));
  const known = Number.isFinite(now);
  const [before, after] = [rateIn(earlier), rateIn(known ? now : 2 * step)];
  if (Math.abs(after - before) <= 0.01 * before) return;
  throw new TrainingError(
    `Cannot resume ${run} for ${known ? `${now} steps` : `${config.maxMinutes} minutes`}: its schedule ` +
      `${config.schedule} is laid out for ${earlier} steps, so the learning rate would jump from ` +
      `${before.toExponential(1)}${known ? ` to ${after.toExponential(1)}` : ""} ` +
      "(expected --lr X for a constant rate, or another --schedule)",
  );
}

/** Whether a run's log has a metric at a step. */
export async function isMeasured(run: string, step: number, name: string): Promise<boolean> {
  const metrics = await readMetrics(join(run, runFile.metrics));
  return metrics.some((line) => line.step === step && name in line);
}

/**
 * Whether a run finished at a step with all artifacts written. A resumed run is not complete, even if an earlier
 * session finished.
 *
 * @throws {RunError} if its record or its log cannot be read
 */
export async function isComplete(run: string, step: number): Promise<boolean> {
  const record = await readRecord(run);
  if (record?.status !== "FINISHED" || !await isMeasured(run, step, "test_loss")) return false;
  return findContained(join(run, runFile.report)) !== undefined;
}
