import { join } from "node:path";
import { init } from "../../kernels/mod.ts";
import type { LaunchFlags } from "./launch/launch_flags.ts";
import { print } from "../program/output.ts";
import { passageText } from "./results/tables.ts";
import { resultFile, writeResults } from "./results/write_results.ts";
import { readRecord } from "../tracking/record.ts";
import { readResults } from "./cell_result.ts";
import { cellFolder, type Study } from "./study.ts";
import { recordStudy, type StudyTracking } from "./study_tracking.ts";

/**
 * Writes the results of the finished cells, prints the conclusion, and records the status of the study.
 *
 * @param failed the reason if cells failed; by default read from their records
 * @throws {DeviceError} if the device cannot be used
 * @throws {RunError} if a file cannot be written
 */
export async function collectStudy(
  study: Study,
  { device: kind, threads, ...tracking }: Pick<LaunchFlags, "device" | "threads"> & StudyTracking,
  failed?: string,
): Promise<void> {
  const { say } = tracking;
  const device = await init({ device: kind, threads: threads ?? 0 });
  const { conclusion, problems } = await writeResults(study.folder).finally(() => device.close());
  problems.forEach((problem) => say(problem));
  print(conclusion.map(passageText).join("\n\n"));
  await recordEnd(study, tracking, failed ?? await failureOf(study));
  say(`Done; see ${join(study.folder, resultFile.table)} and ${resultFile.report} beside it`);
}

/**
 * Records the status of a study that has ended or stopped.
 *
 * @param failed the reason if cells failed
 * @throws {RunError} if the folder cannot be written
 */
export async function recordEnd(study: Study, tracking: StudyTracking, failed?: string): Promise<void> {
  const { results } = await readResults(study);
  const [done, all] = [results.length, study.cells.length];
  const status = failed !== undefined ? "FAILED" : done === all ? "FINISHED" : "KILLED";
  await recordStudy(study, status, tracking, failed ?? null);
  tracking.say(`${done} of ${all} cells are finished in ${study.folder}`);
}

/** Why cells failed that ran elsewhere or earlier; undefined if none did. */
async function failureOf(study: Study): Promise<string | undefined> {
  const { unfinished } = await readResults(study);
  if (unfinished.length === 0) return undefined;
  const failed = async (folder: string) => {
    const record = await readRecord(folder).catch(() => undefined); // a damaged one gives no reason
    return record?.status === "FAILED" ? record : undefined;
  };
  const reason = (await failed(study.folder))?.reason; // also of a cell that failed after its training
  if (reason) return reason;
  const ids = await Array.fromAsync(unfinished, async (cell) => {
    return await failed(cellFolder(study, cell)) ? [cell.id] : [];
  });
  const all = ids.flat();
  return all.length > 0 ? failedCells(all, study.cells.length) : undefined;
}

/** Says which cells failed. */
export function failedCells(ids: readonly string[], of: number): string {
  return `${ids.length} of ${of} cells failed: ${ids.join(", ")}`;
}
