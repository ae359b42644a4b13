import { join } from "node:path";
import { library } from "../../web/flow_text.js";
import { type Comparison, type ReportData, reportHtml, type StudyFindings } from "../../viz/report/mod.ts";
import { qualityNoteOf } from "../evaluation/evaluation_table.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import { runFile } from "../run/files.ts";
import { readJson } from "../run/contained.ts";
import { type LossMeaning, lossWarning } from "../settings/loss_meaning.ts";
import { readRecord } from "../tracking/record.ts";
import { readReportRuns } from "./read_runs.ts";

/** The default path of a report of runs. */
export function reportPath(runs: readonly string[]): string {
  return runs.length === 1 ? join(runs[0], runFile.report) : runFile.report;
}

/**
 * Writes the report of runs from their folders.
 *
 * @param runs folders of runs with the same image size
 * @param out path of the report
 * @param compare compares several runs; without it they are not compared
 * @param live whether the report holds weights and library to draw new samples in a browser, or why not
 * @param study findings of a study of the runs, shown first
 * @throws {RunError} if a run cannot be read or the file cannot be written; then nothing is written
 */
export async function writeReport(
  runs: readonly string[],
  out: string,
  { compare, live = true, study }: {
    readonly compare?: () => Promise<Comparison | undefined>;
    readonly live?: boolean | string;
    readonly study?: StudyFindings;
  } = {},
): Promise<void> {
  const read = await readReportRuns(runs, live);
  const warning = lossWarning(await Promise.all(runs.map(lossMeaningOf)));
  const qualityNote = await qualityNoteOf(runs);
  const comparison = read.length > 1 ? await compare?.() : undefined;
  await writeAtomic(
    out,
    htmlOf({
      runs: read,
      ...warning !== undefined && { lossWarning: warning },
      ...qualityNote !== undefined && { qualityNote },
      ...comparison && { comparison },
      ...study && { study },
      library,
    }),
  );
}

async function lossMeaningOf(run: string): Promise<LossMeaning> {
  const settings = await readJson(join(run, runFile.config)) ?? {};
  return { settings, dataset: (await readRecord(run))?.dataset };
}

function htmlOf(data: ReportData): string {
  try {
    return reportHtml(data);
  } catch (error) {
    if (error instanceof RangeError) throw new RunError(error.message);
    throw error;
  }
}
