import { lastStep, type Metrics } from "../run/metrics_log.ts";
import { currentRecord } from "../tracking/current_record.ts";

/**
 * How a run ended, where that was not as planned: in a sentence with its step and the reason, if there is one.
 *
 * @param run the run's folder
 * @returns undefined for a run that finished or is running
 * @throws {RunError} if a file cannot be read
 */
export async function endingOf(run: string, metrics: readonly Metrics[]): Promise<string | undefined> {
  const record = await currentRecord(run);
  if (record?.status !== "FAILED" && record?.status !== "KILLED") return undefined;
  const step = lastStep(metrics);
  const where = step > 0 ? `after step ${step.toLocaleString("en")}` : "before its first step was logged";
  if (record.status === "KILLED") return `Stopped ${where}, before its end.`;
  return `Failed ${where}: ${record.reason ?? "its program gave no reason"}.`;
}
