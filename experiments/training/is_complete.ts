import { join } from "node:path";
import { runFile } from "../run/layout.ts";
import { readMetrics } from "../run/metrics_log.ts";

/** Whether a metric of a step is in the log of a run. */
export async function isMeasured(run: string, step: number, name: string): Promise<boolean> {
  const metrics = await readMetrics(join(run, runFile.metrics));
  return metrics.some((line) => line.step === step && name in line);
}

/** Whether a session of a run ended at a step with all artifacts written. */
export async function isComplete(run: string, step: number): Promise<boolean> {
  const report = join(run, runFile.report);
  return await isMeasured(run, step, "test_loss") && await Deno.stat(report).then(() => true, () => false);
}
