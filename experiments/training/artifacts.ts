import { makeFixedSteps } from "../cli/solver.ts";
import { join } from "node:path";
import { evaluationsOf, modelTypeOf } from "../../models/mod.ts";
import { examplesOf, writeExamples } from "../data/example_file.ts";
import { className } from "../draw/classes.ts";
import { balancedClasses, classColumns, roundToRows } from "../draw/conditioning.ts";
import { comparedEvaluations, fewStepsPicture, fewStepsRows } from "../draw/few_steps.ts";
import { followInPlane, writePlaneTrajectories } from "../draw/plane_trajectories.ts";
import { writeSampleGrid } from "../draw/sample_grid.ts";
import { followTrajectories, readTrajectories, writeTrajectories } from "../draw/trajectories.ts";
import { trajectoryGif } from "../draw/trajectory_picture.ts";
import { loadWeights } from "../networks/own_network.ts";
import { writeReport } from "../report/write_report.ts";
import { findContained, readFile, writeAtomic } from "../run/run_folder.ts";
import { fileAt, hasFile, runFile } from "../run/files.ts";
import { ownModel } from "../cli/model_setting.ts";
import { readConfig } from "../cli/training_config.ts";
import type { Artifact, Measured, RunFiles, TrainedRun } from "./artifact.ts";
import { testLoss } from "../evaluation/loss_by_time.ts";

/** Euler steps of a plane trajectory, enough for a smooth line. */
const planeSteps = 20;
/** Number of test images in a report. */
const exampleCount = 24;

/** Evaluations for about `count` samples, in rows of one per class; classifier-free guidance takes two per step. */
function evaluationsFor({ source, config }: TrainedRun, count: number, each: number): number {
  return roundToRows(count, source.classes) * each * (source.classes > 0 && config.guidance !== 1 ? 2 : 1);
}

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

/** One sample per class (at most ten, or ten without classes), in a row per number of evaluations. */
const fewSteps: Artifact = {
  makes: "fewSteps",
  evaluations: (trained) => evaluationsFor(trained, rowLength(trained), comparedEvaluations),
  async write({ run, config: { guidance: scale, seed, teacher, teacherGuidance }, source, drawable, data }) {
    const count = rowLength({ source });
    const conditioned = (scale: number) =>
      source.classes > 0 ? balancedClasses(count, source.classes, { scale }) : undefined;
    const rows = fewStepsRows(drawable, conditioned(scale));
    if (teacher !== null) {
      const path = join(run, runFile.teacher);
      const { model } = await loadWeights(await readFile(path, run), path);
      const before = fewStepsRows({ ...drawable, model }, conditioned(teacherGuidance));
      rows.splice(-1, 1); // the teacher's last row is the one to compare with
      rows.unshift(...before);
    }
    const conditioning = conditioned(1);
    const headings = conditioning &&
      Array.from(conditioning.labels, (label) => className(label, data.classNames));
    await writeAtomic(
      join(run, runFile.fewSteps),
      await fewStepsPicture(rows, { count, seed, headings }),
    );
  },
};

/** Samples per row of `fewSteps`. */
function rowLength({ source }: Pick<TrainedRun, "source">): number {
  return source.classes > 0 ? Math.min(source.classes, 10) : 10;
}

/** The trajectories of a few samples, with a snapshot at each step. */
const flows: Artifact = {
  makes: "flow",
  evaluations: (trained) => evaluationsFor(trained, trained.config.flowSamples, trained.config.flowSteps),
  async write({ run, config: { model, flowSamples, flowSteps: steps, guidance, seed }, ...trained }) {
    const { source, drawable, data: { classNames } } = trained;
    // Euler, so that each snapshot's x is the previous x + v / steps.
    const how = { seed, solver: "euler", steps } as const;
    const { count, conditioning } = classColumns(flowSamples, source.classes, { scale: guidance });
    const trajectories = await followTrajectories(drawable, { ...how, count, conditioning });
    const origin = { ...how, modelType: ownModel(model)?.file ?? modelTypeOf(model) };
    await writeTrajectories(run, trajectories, origin, conditioning, classNames);
  },
};

/** An animation of the trajectories, drawn from their files. */
const flowGif = {
  makes: "flowAnimation",
  async write({ run, config }: RunFiles) {
    const gif = await trajectoryGif(await readTrajectories(run), {
      pacing: config.pacing,
      frames: config.flowFrames,
    });
    await writeAtomic(join(run, fileAt(runFile.flowAnimation, config.pacing)), gif);
  },
} as const satisfies Artifact;

/** The trajectories of many samples, projected to a plane. */
const paths: Artifact = {
  makes: "paths",
  evaluations: (trained) => evaluationsFor(trained, trained.config.pathSamples, planeSteps),
  async write({ run, config: { pathSamples, guidance, seed, batchSize: batch }, data, source, drawable }) {
    const { count, conditioning } = classColumns(pathSamples, source.classes, { scale: guidance });
    const how = { count, seed, steps: planeSteps, batch, conditioning };
    await writePlaneTrajectories(run, await followInPlane(drawable, data, how));
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

/** The artifacts by name, in the order in which they are written; the report is last because it shows the others. */
export const artifacts = {
  testLoss,
  samples,
  fewSteps,
  flows,
  flowGif,
  paths,
  examples,
  report,
} as const satisfies Readonly<Record<string, Artifact>>;

function wantedBy({ config }: TrainedRun): Artifact[] {
  return Object.values<Artifact>(artifacts).filter(({ makes }) => hasFile(makes, { config }));
}

function costOf(artifact: Artifact, trained: TrainedRun): number {
  return artifact.evaluations?.(trained) ?? 0;
}

/** Approximate number of network evaluations for all artifacts of a run. */
export function evaluationsOfArtifacts(trained: TrainedRun): number {
  return wantedBy(trained).reduce((sum, artifact) => sum + costOf(artifact, trained), 0);
}

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
  onProgress: (done: number, all: number) => void = () => {},
): Promise<boolean> {
  const due = wantedBy(trained);
  const all = evaluationsOfArtifacts(trained);
  let done = 0;
  for (const artifact of due) {
    if (await stopped()) return false;
    const values = await artifact.write(trained, (evaluations) => onProgress(done + evaluations, all));
    if (values) await measured(values);
    done += costOf(artifact, trained);
    onProgress(done, all);
  }
  return true;
}

/** Draws the animation of a run from its files if it is missing, for example after a change of pacing. */
export async function completeArtifacts(run: string): Promise<void> {
  const files = { run, config: readConfig(run) };
  const isThere = (path: string) => findContained(join(run, path), run) !== undefined;
  const isMissing = hasFile(flowGif.makes, files) &&
    !isThere(fileAt(runFile.flowAnimation, files.config.pacing));
  if (isMissing && isThere(fileAt(runFile.flow, 1))) await flowGif.write(files);
}
