import { readRecords, type Study } from "./study.ts";
import { recordStudy, type StudyTracking } from "./study_tracking.ts";

/**
 * Writes what comes out of a study, and records how it stands.
 *
 * @throws {RunError} if a file cannot be written
 */
export async function collectStudy(study: Study, tracking: StudyTracking): Promise<void> {
  const { unfinished, records, problems } = await readRecords(study);
  problems.forEach((problem) => tracking.say(problem));
  const missing = unfinished.length + problems.length;
  await recordStudy(study, missing === 0 ? "FINISHED" : "KILLED", tracking);
  tracking.say(`${records.length} of ${study.cells.length} cells are finished in ${study.folder}`);
}
