import { join } from "node:path";
import { decodeSafetensors, encodeSafetensors, type ModelType, type SolverName } from "../../models/mod.ts";
import { checkTrajectory, type Trajectory } from "../../viz/mod.ts";
import type { Asked } from "./asked.ts";
import { reasonOf, RunError, writeAtomic } from "../run/atomic_write.ts";
import { makeContainedFolder } from "../run/contained.ts";
import { flowFile, isFlowFile, runFolder } from "../run/layout.ts";
import { readFile } from "../run/read_file.ts";

/** From which noise, by which network and how a flow is followed. */
export interface FlowSource {
  readonly modelType: ModelType;
  /** Seed of the noise: sample k starts from the same noise in every model. */
  readonly seed: number;
  readonly solver: SolverName;
  /** Steps from t = 0 to t = 1; the times of the snapshots stand in the trajectory. */
  readonly steps: number;
  /** Guidance by the labels, if the samples were asked to be of classes; 1 is none. */
  readonly guidance?: number;
}

/** The stored trajectory of one sample. */
export interface FlowSnapshots extends FlowSource {
  /** Number of the sample, from 1; sample k starts from the k-th noise of the seed. */
  readonly k: number;
  /** The class that it was asked to be of, if it was. */
  readonly label?: number;
  readonly trajectory: Trajectory;
}

/**
 * Writes trajectories of a run as `flow/sample_<k>.safetensors`, for pictures, reports and other programs.
 *
 * Each file holds f32 tensors `t` [M], `image` [M, H, W] or, of three channels, [M, 3, H, W] (pixels, 0 black, 1 white,
 * not clipped) and `velocity` [M - 1, H, W] or [M - 1, 3, H, W] (pixels per unit of t, as the network computed it at that
 * t), and as metadata the model's type, the seed, the sample's number, solver and steps, and the label and guidance of a
 * sample that was asked to be of a class.
 *
 * @param asked the classes of the trajectories, if they were asked to be of some
 * @returns the paths written
 * @throws {RunError} if the folder cannot be written
 */
export async function writeFlowSnapshots(
  run: string,
  trajectories: readonly Trajectory[],
  source: FlowSource,
  asked?: Asked,
): Promise<string[]> {
  if (trajectories.length === 0) return [];
  await makeContainedFolder(run, runFolder.flow);
  return await Promise.all(trajectories.map(async (trajectory, i) => {
    const path = join(run, flowFile(i + 1));
    const label = asked && { label: asked.labels[i], guidance: asked.guidance.scale };
    await writeAtomic(path, encodeFlowSnapshots({ ...source, ...label, k: i + 1, trajectory }));
    return path;
  }));
}

/**
 * Reads the trajectories of a run, in the order of their numbers.
 *
 * @throws {RunError} if the run holds none, or one cannot be read
 * @throws {SafetensorsError} if a file is damaged
 */
export async function readFlowSnapshots(run: string): Promise<FlowSnapshots[]> {
  const all = await findFlowSnapshots(run);
  if (all.length > 0) return all;
  throw new RunError(
    `Cannot find snapshots of ${run}: there is no ${join(run, flowFile("<k>"))} ` +
      "(a training run writes them at its end, unless --flow-samples is 0)",
  );
}

/**
 * Reads the trajectories of a run that may store none, in the order of their numbers.
 *
 * @returns an empty list where the run stores none
 * @throws {RunError} if one cannot be read
 * @throws {SafetensorsError} if a file is damaged
 */
export async function findFlowSnapshots(run: string): Promise<FlowSnapshots[]> {
  const folder = join(run, runFolder.flow);
  let names: string[];
  try {
    names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new RunError(`Cannot read the snapshots of ${run}: ${reasonOf(error)}`);
    }
    names = [];
  }
  const files = names.map((name) => `${runFolder.flow}/${name}`).filter(isFlowFile);
  const all = await Promise.all(files.map(async (name) => {
    const path = join(run, name);
    return decodeFlowSnapshots(await readFile(path, run), path);
  }));
  return all.sort((a, b) => a.k - b.k);
}

/** What to do about a file of snapshots that cannot be used. */
const wayOn = "delete it, and the run is shown without this sample";

/** Encodes one sample's trajectory; `decodeFlowSnapshots` gives back the same values. */
export function encodeFlowSnapshots(
  { trajectory, modelType, seed, k, solver, steps, label, guidance }: FlowSnapshots,
): Uint8Array<ArrayBuffer> {
  checkTrajectory("store trajectory", trajectory);
  const { t, image, velocity, shape: [M, ...size] } = trajectory;
  const tensors = new Map([
    ["t", { shape: [M], data: t }],
    ["image", { shape: [M, ...size], data: image }],
    ["velocity", { shape: [M - 1, ...size], data: velocity }],
  ]);
  const numbers = { seed, sample: k, steps, ...label !== undefined && { label, guidance: guidance ?? 1 } };
  const texts = Object.entries(numbers).map(([name, value]) => [name, String(value)]);
  return encodeSafetensors(tensors, { model_type: modelType, solver, ...Object.fromEntries(texts) });
}

/**
 * Decodes one sample's trajectory.
 *
 * @param source name of the file, for messages
 * @throws {SafetensorsError} if the bytes are no safetensors file
 * @throws {RunError} if it holds no trajectory
 */
export function decodeFlowSnapshots(bytes: Uint8Array, source: string): FlowSnapshots {
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  const [t, image, velocity] = ["t", "image", "velocity"].map((name) => {
    const tensor = tensors.get(name);
    if (tensor) return tensor;
    throw new RunError(`Cannot read ${source}: it holds no ${name} (expected t, image and velocity)`);
  });
  const shape = image.shape as Trajectory["shape"];
  if (shape.length !== 3 && shape.length !== 4) {
    throw new RunError(
      `Cannot read ${source}: image is f32[${image.shape}] (expected f32[M, H, W] or f32[M, C, H, W])`,
    );
  }
  const bad = [...tensors].find(([, { data }]) => !data.every(Number.isFinite));
  if (bad) {
    throw new RunError(
      `Cannot read ${source}: ${bad[0]} holds NaN or infinities (expected finite numbers); ${wayOn}`,
    );
  }
  const trajectory = { t: t.data, image: image.data, velocity: velocity.data, shape };
  const { model_type: modelType, solver, seed, sample, steps } = metadata;
  const numbers = [seed, sample, steps].map(Number);
  if (!modelType || !solver || !numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) {
    throw new RunError(
      `Cannot read ${source}: its metadata are ${JSON.stringify(metadata)} ` +
        "(expected model_type, solver, seed, sample and steps)",
    );
  }
  const asked = askedOf(metadata, source);
  try {
    checkTrajectory(`read ${source}`, trajectory);
  } catch (error) {
    if (error instanceof RangeError) throw new RunError(error.message);
    throw error;
  }
  return {
    k: numbers[1],
    modelType: modelType as ModelType,
    solver: solver as SolverName,
    seed: numbers[0],
    steps: numbers[2],
    ...asked,
    trajectory,
  };
}

/** The class and the guidance of a sample; neither where it was asked to be of no class. */
function askedOf(
  metadata: Readonly<Record<string, string>>,
  source: string,
): Pick<FlowSnapshots, "label" | "guidance"> {
  if (!("label" in metadata)) return {};
  const [label, guidance] = [Number(metadata.label), Number(metadata.guidance)];
  if (Number.isSafeInteger(label) && label >= 0 && Number.isFinite(guidance)) return { label, guidance };
  throw new RunError(
    `Cannot read ${source}: its label is ${metadata.label} at guidance ${metadata.guidance} ` +
      `(expected a class and a number); ${wayOn}`,
  );
}
