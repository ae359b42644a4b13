import { join } from "node:path";
import { createSchedule, type Schedule, scheduleSettings } from "../../models/mod.ts";
import type { Dataset, ImageSplit } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import { findContained } from "../run/contained.ts";
import { runFile } from "../run/layout.ts";
import { readMetrics } from "../run/metrics_log.ts";
import type { TrainingConfig } from "../settings/training.ts";
import { readRecord } from "../tracking/record.ts";
import type { Network } from "./network.ts";

/** One session of a training run, which may be resumed in another. */
export interface TrainingSession {
  readonly config: TrainingConfig;
  /** The run's folder. */
  readonly run: string;
  readonly data: Dataset;
  readonly images: ImageSplit;
  readonly network: Network;
  readonly source: ImageSource;
  /** Steps after which the averaged weights are kept. */
  readonly keepAt: readonly number[];
  /** Saves and ends the session early. */
  readonly signal: AbortSignal;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** How a session of training ended. */
export interface TrainingOutcome {
  /** Steps taken in all sessions of the run. */
  readonly step: number;
  /** Whether it was stopped before its end. */
  readonly interrupted: boolean;
  readonly valLoss: number | undefined;
  readonly testLoss: number | undefined;
  /** Of this session. */
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

/** Whether a metric of a step is in the log of a run. */
export async function isMeasured(run: string, step: number, name: string): Promise<boolean> {
  const metrics = await readMetrics(join(run, runFile.metrics));
  return metrics.some((line) => line.step === step && name in line);
}

/**
 * Whether a run ended at a step with all artifacts written. The record of a run that goes on is open again, whatever an
 * earlier session has left.
 *
 * @throws {RunError} if its record or its log cannot be read
 */
export async function isComplete(run: string, step: number): Promise<boolean> {
  const record = await readRecord(run);
  if (record?.status !== "FINISHED" || !await isMeasured(run, step, "test_loss")) return false;
  return findContained(join(run, runFile.report)) !== undefined;
}
