import type { StudyFindings } from "../../../viz/report/mod.ts";
import { compareModels } from "../../report/compare_models.ts";
import { writeReport } from "../../report/write_report.ts";
import { findEarlyWeights, findWeights } from "../../run/run_weights.ts";
import { cellFolder, type Study } from "../study.ts";
import { type Setup, sharedSeed } from "./setups.ts";

/** Runs whose velocities are compared with each other: their number counts squared. */
const mostCompared = 10;
/** Bytes of the weights of all runs that a report holds. */
const mostWeights = 4 * 2 ** 20;

/**
 * Writes the report of all finished runs of a study, under one slider: what the study found, then the runs. The
 * velocities of one run for each setup are compared at the same points. The device in use computes.
 *
 * @throws {RunError} if a run cannot be read or the file cannot be written
 */
export async function writeStudyReport(
  study: Study,
  setups: readonly Setup[],
  findings: StudyFindings,
  out: string,
): Promise<void> {
  const records = setups.flatMap(({ records }) => records);
  const runs = records.map(({ cell }) => cellFolder(study, { id: cell }));
  const weights = runs.map((run) => findWeights(run)?.size);
  const early = runs.map((run) => findEarlyWeights(run)?.size);
  const seed = sharedSeed(setups);
  const compared = records.flatMap((record, place) =>
    record.seed === seed && weights[place] !== undefined ? [place] : []
  ).slice(0, mostCompared);
  await writeReport(runs, out, {
    study: findings,
    live: [...weights, ...early].reduce<number>((sum, size = 0) => sum + size, 0) <= mostWeights ||
      `the report of a study holds weights of ${
        mostWeights / 2 ** 20
      } MiB at most in all; that of a run has its own`,
    ...compared.length > 1 && {
      compare: async () => {
        const comparison = await compareModels(compared.map((place) => runs[place]));
        return comparison && { ...comparison, runs: compared };
      },
    },
  });
}
