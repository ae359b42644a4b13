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
import type { Terminal } from "../cli/progress.ts";
import { TrainingError } from "../cli/task.ts";
import { findContained } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { readMetrics, type RunProgress } from "../run/metrics_log.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { readConfig } from "../cli/training_config.ts";
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
  /** Called with messages for the user. */
  readonly say: (message: string) => void;
  /** Shows progress. */
  readonly terminal?: Terminal | undefined;
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
  const names = scheduleSettings(schedule);
  const settings = Object.entries({ warmup, factor, patience }).filter(([name]) => names.includes(name));
  return createSchedule(schedule, lr, Object.fromEntries(settings));
}

/** Steps of a run; Infinity if only minutes limit it. */
export function lengthOf(
  { epochs, maxSteps }: Pick<TrainingConfig, "epochs" | "maxSteps">,
  order: BatchOrder,
): number {
  return Math.min(epochs > 0 ? order.stepsFor(epochs) : Infinity, maxSteps > 0 ? maxSteps : Infinity);
}

/**
 * Restores the schedule of a resumed run, unless the user has chosen another rate or schedule.
 *
 * @param now steps of the run; Infinity if only minutes limit it
 * @throws {TrainingError} if the schedule follows the length of the run, and a new length would move the learning rate
 * by more than 1 %
 */
export function resumeSchedule(
  { run, config }: TrainingSession,
  schedule: Schedule,
  order: BatchOrder,
  { step, schedule: state }: RunProgress,
  now: number,
): void {
  const earlier = readConfig(run);
  if (earlier.schedule !== config.schedule || earlier.lr !== config.lr) return;
  schedule.restore?.(state);
  if (step === 0 || step >= now) return;
  const before = lengthOf(earlier, order);
  const isFixed = Number.isFinite(now);
  const rateIn = (steps: number) => schedule.learningRate(progressAt(step, steps));
  const [rate, next] = [rateIn(before), rateIn(isFixed ? now : 2 * step)];
  if (Math.abs(next - rate) <= 0.01 * rate) return;
  throw new TrainingError(
    `Cannot resume ${run} for ${isFixed ? `${now} steps` : `${config.maxMinutes} minutes`}: its schedule ` +
      `${config.schedule} is laid out for ${before} steps, so the learning rate would jump from ` +
      `${rate.toExponential(1)}${isFixed ? ` to ${next.toExponential(1)}` : ""} ` +
      "(expected --lr X for a constant rate, or another --schedule)",
  );
}

/** Whether a run's log has a metric at a step. */
export async function isMeasured(run: string, step: number, name: string): Promise<boolean> {
  const metrics = await readMetrics(join(run, runFile.metrics));
  return metrics.some((line) => line.step === step && name in line);
}

/** Whether a run finished at this step with all artifacts written; a resumed run has to do so again. */
export async function isComplete(run: string, step: number): Promise<boolean> {
  const record = await readRecord(run);
  if (record?.status !== "FINISHED" || !await isMeasured(run, step, "test_loss")) return false;
  return findContained(join(run, runFile.report)) !== undefined;
}
