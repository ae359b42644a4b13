import { join } from "node:path";
import { findContained } from "../run/contained.ts";
import { runFile } from "../run/layout.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readRecord } from "../tracking/record.ts";

/** Whether a metric of a step is in the log of a run. */
export async function isMeasured(run: string, step: number, name: string): Promise<boolean> {
  const metrics = await readMetrics(join(run, runFile.metrics));
  return metrics.some((line) => line.step === step && name in line);
}

/**
 * Whether a run ended at a step with all artifacts written: the record of one that goes on says so no longer, whatever an
 * earlier session has left. Version 0.1 wrote no record, and its artifacts last.
 *
 * @throws {RunError} if its record or its log cannot be read
 */
export async function isComplete(run: string, step: number): Promise<boolean> {
  const record = await readRecord(run);
  if ((record && record.status !== "FINISHED") || !await isMeasured(run, step, "test_loss")) return false;
  return findContained(join(run, runFile.report)) !== undefined;
}
