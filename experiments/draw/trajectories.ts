import { basename, join, resolve } from "node:path";
import {
  encodeSafetensors,
  SafetensorsError,
  type Snapshot,
  type SolverName,
  trajectory,
} from "../../models/mod.ts";
import { checkTrajectory, type Trajectory } from "../../viz/mod.ts";
import { makeFolder, readFile, reasonOf, RunError, writeAtomic } from "../run/run_folder.ts";
import { fileAt, isRunFile, runFile, runFolder } from "../run/files.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import { type Conditioning, samplingField } from "./conditioning.ts";
import { type Drawable, type Drawing, finiteSnapshot } from "./samples.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";
import { ConfigError } from "../cli/settings.ts";
import { printable, say as tellUser } from "../cli/output.ts";
import { findRun, listRuns } from "../tracking/find_run.ts";

/** The origin of a trajectory: noise, network and solver. */
export interface TrajectorySource {
  readonly modelType: string;
  /** Seed of the noise: sample k starts from the same noise in every model. */
  readonly seed: number;
  readonly solver: SolverName;
  /** Steps from t = 0 to t = 1; the trajectory itself holds the times of its snapshots. */
  readonly steps: number;
}

/** The trajectory of one sample, as stored in a run. */
export interface StoredTrajectory extends TrajectorySource {
  /** Number of the sample, from 1; sample k starts from the k-th noise of the seed. */
  readonly k: number;
  /** The class of the sample, if any, and its name, if it has one. */
  readonly label?: number;
  readonly className?: string;
  /** Guidance by the label, if the sample has one; 1 is none. */
  readonly guidance?: number;
  readonly trajectory: Trajectory;
}

/**
 * Follows samples from noise to data, all in one batch.
 *
 * @returns their trajectories in pixels, at the times of the solver's snapshots
 */
export async function followTrajectories(
  { model, normalization, shape }: Drawable,
  { conditioning, columns: _, ...drawing }: Drawing,
): Promise<Trajectory[]> {
  const snapshots: Snapshot[] = [];
  const { field, ...condition } = samplingField({ model }, conditioning);
  for await (const snapshot of trajectory(field, { ...drawing, shape, ...condition })) {
    snapshots.push(finiteSnapshot(snapshot, normalization));
    await yieldToEvents();
  }
  const [C, H, W] = shape;
  const [M, size] = [snapshots.length, C * H * W];
  return Array.from({ length: drawing.count }, (_, n) => {
    const part = (batch: Float32Array) => batch.subarray(n * size, (n + 1) * size);
    const image = new Float32Array(M * size);
    const velocity = new Float32Array((M - 1) * size);
    snapshots.forEach((snapshot, m) => {
      image.set(part(snapshot.image), m * size);
      if (snapshot.velocity) velocity.set(part(snapshot.velocity), m * size);
    });
    const t = Float32Array.from(snapshots, ({ t }) => t);
    return { t, image, velocity, shape: C === 1 ? [M, H, W] : [M, C, H, W] };
  });
}

/**
 * Writes trajectories as `flow/sample_<k>.safetensors` of a run, for pictures, reports and other programs.
 *
 * Each file holds f32 tensors `t` [M], `image` [M, H, W] or, with three channels, [M, 3, H, W] (pixels, 0 black, 1 white,
 * not clipped) and `velocity` [M - 1, H, W] or [M - 1, 3, H, W] (pixels per unit of t, as the network computed it at
 * that t). The metadata holds model type, seed, sample number, solver and steps; for conditioned samples also label,
 * guidance and the name of the class.
 *
 * @param conditioning of the trajectories, if any
 * @param classNames by label
 * @returns the paths written
 */
export async function writeTrajectories(
  run: string,
  trajectories: readonly Trajectory[],
  source: TrajectorySource,
  conditioning?: Conditioning,
  classNames: readonly string[] = [],
): Promise<string[]> {
  if (trajectories.length === 0) return [];
  await makeFolder(run, runFolder.flow);
  const { modelType, seed, solver, steps } = source;
  return await Promise.all(trajectories.map(async (trajectory, i) => {
    checkTrajectory("store trajectory", trajectory);
    const { shape: [M, ...size] } = trajectory;
    const tensors = tensorsOf({ t: [M], image: [M, ...size], velocity: [M - 1, ...size] }, trajectory);
    const label = conditioning?.labels[i];
    const metadata = {
      model_type: modelType,
      solver,
      ...label !== undefined && label in classNames && { class_name: classNames[label] },
      seed,
      sample: i + 1,
      steps,
      ...label !== undefined && { label, guidance: conditioning!.guidance.scale },
    };
    const texts = Object.entries(metadata).map(([name, value]) => [name, String(value)]);
    const path = join(run, fileAt(runFile.flow, i + 1));
    await writeAtomic(path, encodeSafetensors(tensors, Object.fromEntries(texts)));
    return path;
  }));
}

/** Reads the trajectories of a run, in order of their numbers. */
export async function readTrajectories(run: string): Promise<StoredTrajectory[]> {
  const all = await findTrajectories(run);
  if (all.length > 0) return all;
  throw new RunError(
    `Cannot find trajectories of ${run}: there is no ${join(run, runFile.flow)} ` +
      "(a training run writes them at its end, unless --flow-samples is 0)",
  );
}

/** Reads the trajectories of a run, in order of their numbers; the list is empty if it stores none. */
export async function findTrajectories(run: string): Promise<StoredTrajectory[]> {
  let names: string[] = [];
  try {
    names = await Array.fromAsync(Deno.readDir(join(run, runFolder.flow)), ({ name }) => name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new RunError(`Cannot read the trajectories of ${run}: ${reasonOf(error)}`);
    }
  }
  const files = names.map((name) => `${runFolder.flow}/${name}`).filter((path) =>
    isRunFile(runFile.flow, path)
  );
  const all = await Promise.all(files.map(async (path) => {
    const file = join(run, path);
    return decodeTrajectory(await readFile(file, run), file);
  }));
  return all.sort((a, b) => a.k - b.k);
}

/**
 * Decodes the trajectory of one sample.
 *
 * @param source name of the file, for messages
 */
function decodeTrajectory(bytes: Uint8Array, source: string): StoredTrajectory {
  const file = new TensorFile(bytes, source, "delete it, and the run is shown without this sample");
  const shape = file.shapeOf("image") as Trajectory["shape"];
  if (shape.length !== 3 && shape.length !== 4) {
    throw file.mismatch("image", "f32[M, H, W] or f32[M, C, H, W]");
  }
  const [M, ...size] = shape;
  const shapes = { t: [M], image: shape, velocity: [M - 1, ...size] };
  const trajectory = { ...file.readAll(shapes), shape };
  const { model_type: modelType, solver, label, guidance, class_name: className } = file.metadata;
  const [seed, k, steps] = ["seed", "sample", "steps"].map((name) => Number(file.metadata[name]));
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
  if (!modelType || !solver || ![seed, k, steps].every(isCount)) {
    const actual = JSON.stringify(file.metadata);
    throw file.error(`its metadata is ${actual} (expected model_type, solver, seed, sample and steps)`);
  }
  if (label !== undefined && !(isCount(Number(label)) && Number.isFinite(Number(guidance)))) {
    throw file.error(`its label is ${label} at guidance ${guidance} (expected a class and a number)`);
  }
  try {
    checkTrajectory(`read ${source}`, trajectory);
  } catch (error) {
    throw error instanceof RangeError ? new RunError(error.message) : error;
  }
  return {
    k,
    modelType,
    solver: solver as SolverName,
    seed,
    steps,
    ...label !== undefined && { label: Number(label), guidance: Number(guidance) },
    ...className !== undefined && { className },
    trajectory,
  };
}

/** A run with its stored trajectories. */
export interface RunTrajectories {
  readonly name: string;
  /** The run's folder. */
  readonly key: string;
  /** In order of their numbers. */
  readonly samples: readonly StoredTrajectory[];
}

/**
 * Loads the trajectories of runs, or of all runs of an experiment that store them.
 *
 * @param names of runs, see {@linkcode findRun}
 * @param say called with a message for each run of an experiment that is skipped because of a damaged file
 */
export async function loadTrajectories(
  names: readonly string[],
  { root, experiment }: { readonly root: string; readonly experiment: string | null },
  say: (message: string) => void = tellUser,
): Promise<RunTrajectories[]> {
  if (names.length === 0 && experiment === null) {
    throw new ConfigError("Missing RUN: name the folder of a run, or an --experiment (see --help)");
  }
  if (names.length > 0) {
    return await Promise.all(names.map(async (name) => {
      const folder = await findRun(name, root);
      return { name: basename(resolve(folder)), key: folder, samples: await readTrajectories(folder) };
    }));
  }
  const loaded: RunTrajectories[] = [];
  for (const { name, key } of await listRuns(root, experiment, say)) {
    try {
      const samples = await findTrajectories(key);
      if (samples.length > 0) loaded.push({ name, key, samples });
    } catch (error) {
      if (!(error instanceof RunError || error instanceof SafetensorsError)) throw error;
      say(printable(`Skipped: ${error.message}`));
    }
  }
  if (loaded.length > 0) return loaded;
  throw new RunError(`Cannot find trajectories: no run of experiment ${experiment} in ${root} stores any`);
}
