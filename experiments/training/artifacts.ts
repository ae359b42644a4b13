import { join } from "node:path";
import { evaluationsOf } from "../../models/mod.ts";
import { makeFixedSteps } from "../cli/solver.ts";
import { examplesOf, writeExamples } from "../data/example_file.ts";
import { classColumns } from "../draw/conditioning.ts";
import { writeSampleGrid } from "../draw/pictures.ts";
import { testImages, writeTestLoss } from "../evaluation/loss_by_time.ts";
import { writeReport } from "../report/write_report.ts";
import { hasFile, runFile } from "../run/files.ts";
import {
  type Artifact,
  evaluationsFor,
  fewSteps,
  flowGif,
  flows,
  type Measured,
  paths,
  type TrainedRun,
} from "./pictures.ts";

export type { Measured };

/** Number of test images in a report. */
const exampleCount = 24;

const testLoss: Artifact = { makes: "lossByTime", evaluations: testImages, write: writeTestLoss };

const samples: Artifact = {
  makes: "samples",
  evaluations: (trained) => {
    const { samples, solver } = trained.config;
    return evaluationsFor(trained, samples, evaluationsOf(makeFixedSteps(solver))!);
  },
  async write({ run, config: { samples, guidance, seed, solver }, source, drawable }) {
    const columns = classColumns(samples, source.classes, { scale: guidance });
    await writeSampleGrid(run, drawable, { ...columns, seed, ...makeFixedSteps(solver) });
  },
};

/** Test images for the report, because the data set may be gone when the report is written again. */
const examples: Artifact = {
  makes: "examples",
  write: ({ run, data }) => writeExamples(run, examplesOf(data, exampleCount)),
};

const report: Artifact = {
  makes: "report",
  write: ({ run }) => writeReport([run], join(run, runFile.report)),
};

/** The outputs of a run in the order in which they are written; the report is last because it shows the others. */
const artifacts: readonly Artifact[] = [
  testLoss,
  samples,
  fewSteps,
  flows,
  flowGif,
  paths,
  examples,
  report,
];

/**
 * Writes all artifacts of a trained run.
 *
 * @param measured called with the metrics of an artifact before the next one
 * @param stopped checked before each artifact; true ends the work
 * @param onProgress called with the number of network evaluations so far, and the approximate total
 * @returns whether all were written
 */
export async function writeArtifacts(
  trained: TrainedRun,
  measured: (values: Measured) => Promise<void>,
  stopped: () => Promise<boolean>,
  onProgress: (done: number, all: number) => void,
): Promise<boolean> {
  const due = artifacts.filter(({ makes }) => hasFile(makes, trained))
    .map((artifact) => ({ artifact, cost: artifact.evaluations?.(trained) ?? 0 }));
  const all = due.reduce((sum, { cost }) => sum + cost, 0);
  let done = 0;
  for (const { artifact, cost } of due) {
    if (await stopped()) return false;
    const values = await artifact.write(trained, (evaluations) => onProgress(done + evaluations, all));
    if (values) await measured(values);
    done += cost;
    onProgress(done, all);
  }
  return true;
}
