import { join } from "node:path";
import { type Comparison, reportHtml, type ReportRun } from "../viz/report/mod.ts";
import { RunError, writeAtomic } from "./atomic_write.ts";
import { readReportRuns } from "./report_run.ts";

/** The file that a training run leaves its report in. */
export const reportName = "report.html";

/** Where the report of runs goes if nobody says. */
export function reportPath(runs: readonly string[]): string {
  return runs.length === 1 ? join(runs[0], reportName) : reportName;
}

/**
 * Writes the report of runs, from their folders alone.
 *
 * @param runs folders of runs; those of one report must be of images of one size
 * @param out the file
 * @param compare compares several runs, once all are read; without it they are not compared
 * @throws {RunError} if a run cannot be read or the file not be written; then nothing is written
 */
export async function writeReport(
  runs: readonly string[],
  out: string,
  compare?: (read: readonly ReportRun[]) => Promise<Comparison | undefined>,
): Promise<void> {
  const read = await readReportRuns(runs);
  const comparison = read.length > 1 ? await compare?.(read) : undefined;
  await writeAtomic(out, pageOf(read, comparison));
}

function pageOf(runs: readonly ReportRun[], comparison: Comparison | undefined): string {
  try {
    return reportHtml({ runs, ...comparison && { comparison } });
  } catch (error) {
    if (error instanceof RangeError) throw new RunError(error.message);
    throw error;
  }
}
