import { join } from "node:path";
import { library } from "../../web/flow_text.js";
import { type Comparison, type ReportData, reportHtml } from "../../viz/report/mod.ts";
import { qualityNoteOf } from "../evaluation/evaluation.ts";
import { readJson, RunError, writeAtomic } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { type LossMeaning, lossWarning } from "../settings/comparable_losses.ts";
import { readRecord } from "../tracking/record.ts";
import { readReportRuns } from "./read_runs.ts";

/** The default path of a report on runs. */
export function reportPath(runs: readonly string[]): string {
  return runs.length === 1 ? join(runs[0], runFile.report) : runFile.report;
}

/** The optional parts of a report. */
interface ReportOptions {
  /** Compares several runs; if absent, they are not compared. */
  readonly compare?: () => Promise<Comparison | undefined>;
  /** Whether the report includes weights and library to draw new samples in a browser; by default true. */
  readonly live?: boolean;
}

/**
 * Writes the report on runs from their folders.
 *
 * @param runs folders of runs with the same image size
 * @param out path of the report
 * @throws {RunError} if a run cannot be read or the file cannot be written; nothing is written then
 */
export async function writeReport(
  runs: readonly string[],
  out: string,
  { compare, live = true }: ReportOptions = {},
): Promise<void> {
  const read = await readReportRuns(runs, live);
  const data: ReportData = {
    runs: read,
    lossWarning: lossWarning(await Promise.all(runs.map(lossMeaningOf))),
    qualityNote: await qualityNoteOf(runs),
    comparison: read.length > 1 ? await compare?.() : undefined,
    library,
  };
  let html: string;
  try {
    html = reportHtml(data);
  } catch (error) {
    throw error instanceof RangeError ? new RunError(error.message) : error;
  }
  await writeAtomic(out, html);
}

async function lossMeaningOf(run: string): Promise<LossMeaning> {
  const settings = await readJson(join(run, runFile.config)) ?? {};
  return { settings, dataset: (await readRecord(run))?.dataset };
}
