import { join } from "node:path";
import { evaluationsOf } from "../../models/mod.ts";
import { balancedClasses, classColumns, className, roundToRows } from "../draw/conditioning.ts";
import {
  comparedEvaluations,
  fewStepsRows,
  trajectoryGif,
  writeFewSteps,
  writeSampleGrid,
} from "../draw/pictures.ts";
import { followInPlane, writePlaneTrajectories } from "../draw/plane.ts";
import type { Drawable } from "../draw/samples.ts";
import { followTrajectories, readTrajectories, writeTrajectories } from "../draw/trajectories.ts";
import { loadWeights } from "../networks/own_network.ts";
import { fileAt, type files, hasFile, runFile } from "../run/files.ts";
import { findContained, readFile, writeAtomic } from "../run/run_folder.ts";
import { readConfig } from "../settings/config_file.ts";
import type { PreparedTraining } from "./prepare_training.ts";

export interface RunFiles {
  readonly run: string;
  readonly config: PreparedTraining["config"];
}

/** A run with its trained network and data. */
export interface TrainedRun extends RunFiles, Pick<PreparedTraining, "network" | "data" | "source"> {
  /** The network with its averaged weights. */
  readonly drawable: Drawable;
  /** Steps that it was trained for. */
  readonly steps: number;
}

export type Measured = Readonly<Record<string, number>>;

/** An output of a run. */
export interface Artifact {
  /** The file that it writes; the table of files lists which runs have it. */
  readonly makes: keyof typeof files;
  /** The file that is written after its last one, if it writes several. */
  readonly drawnWith?: keyof typeof files;
  /** Approximate number of network evaluations, for progress; by default none. */
  evaluations?(trained: TrainedRun): number;
  /** Writes the artifact into the run's folder, and returns metrics, if it measures any. */
  write(trained: TrainedRun, onProgress?: (evaluations: number) => void): Promise<Measured | void>;
}

/** Euler steps of a plane trajectory, enough for the same line as 20. */
const planeSteps = 10;

/** Evaluations for about `count` samples, in rows of one per class; classifier-free guidance takes two per step. */
function evaluationsFor({ source, config }: TrainedRun, count: number, each: number): number {
  return roundToRows(count, source.classes) * each * (source.classes > 0 && config.guidance !== 1 ? 2 : 1);
}

/** One sample per class (at most ten, or ten without classes), in a row per number of evaluations. */
export const fewSteps: Artifact = {
  makes: "fewSteps",
  evaluations: (trained) => evaluationsFor(trained, rowLength(trained), comparedEvaluations),
  async write({ run, config: { guidance: scale, seed, distillation }, source, drawable, data }) {
    const count = rowLength({ source });
    const conditioned = (scale: number) =>
      source.classes > 0 ? balancedClasses(count, source.classes, { scale }) : undefined;
    const rows = fewStepsRows(drawable, conditioned(scale));
    if (distillation) {
      const path = join(run, runFile.teacher);
      const { model } = await loadWeights(await readFile(path, run), path);
      const before = fewStepsRows({ ...drawable, model }, conditioned(distillation.teacherGuidance));
      rows.splice(-1, 1); // the teacher's last row is the one to compare with
      rows.unshift(...before);
    }
    const conditioning = conditioned(1);
    const headings = conditioning &&
      Array.from(conditioning.labels, (label) => className(label, data.classNames));
    await writeFewSteps(join(run, runFile.fewSteps), rows, { count, seed, headings });
  },
};

export const samples: Artifact = {
  makes: "samples",
  evaluations: (trained) => {
    const { samples, solver } = trained.config;
    return evaluationsFor(trained, samples, evaluationsOf(solver.how, trained.drawable.model)!);
  },
  async write({ run, config: { samples, guidance, seed, solver }, source, drawable }) {
    const columns = classColumns(samples, source.classes, { scale: guidance });
    await writeSampleGrid(run, drawable, { ...columns, seed, ...solver.how });
  },
};

/** Samples per row of `fewSteps`. */
function rowLength({ source }: Pick<TrainedRun, "source">): number {
  return source.classes > 0 ? Math.min(source.classes, 10) : 10;
}

/** The trajectories of a few samples, with a snapshot at each step. */
export const flows: Artifact = {
  makes: "flow",
  drawnWith: "flowAnimation",
  evaluations: (trained) => evaluationsFor(trained, trained.config.flowSamples, trained.config.flowSteps),
  async write({ run, config: { flowSamples, flowSteps: steps, guidance, seed }, ...trained }) {
    const { source, drawable, data: { classNames }, network: { options } } = trained;
    // Euler, so that each snapshot's x is the previous x + v / steps.
    const how = { seed, solver: "euler", steps } as const;
    const { count, conditioning } = classColumns(flowSamples, source.classes, { scale: guidance });
    const trajectories = await followTrajectories(drawable, { ...how, count, conditioning });
    const origin = { ...how, modelType: options.type === "own" ? options.name : options.type };
    await writeTrajectories(run, trajectories, origin, conditioning, classNames);
  },
};

/** An animation of the trajectories, drawn from their files. */
export const flowGif = {
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
export const paths: Artifact = {
  makes: "paths",
  evaluations: (trained) => evaluationsFor(trained, trained.config.pathSamples, planeSteps),
  async write({ run, config: { pathSamples, guidance, seed, batchSize: batch }, data, source, drawable }) {
    const { count, conditioning } = classColumns(pathSamples, source.classes, { scale: guidance });
    const how = { count, seed, steps: planeSteps, batch, conditioning };
    await writePlaneTrajectories(run, await followInPlane(drawable, data, how));
  },
};

/** Draws the animation of a run from its files if it is missing, for example after a change of pacing. */
export async function completeArtifacts(run: string): Promise<void> {
  const files = { run, config: readConfig(run) };
  const isThere = (path: string) => findContained(join(run, path), run) !== undefined;
  const isMissing = hasFile(flowGif.makes, files) &&
    !isThere(fileAt(runFile.flowAnimation, files.config.pacing));
  if (isMissing && isThere(fileAt(runFile.flow, 1))) await flowGif.write(files);
}
