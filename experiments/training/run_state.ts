import { join } from "node:path";
import {
  decodeSafetensors,
  encodeSafetensors,
  saveCheckpoint,
  type State,
  StateError,
  type Trainer,
} from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import { reasonOf, RunError, writeAtomic } from "../run/atomic_write.ts";
import { runFile, weightsFile, type WeightsName } from "../run/layout.ts";
import type { Network } from "./network.ts";

/** What a run needs to continue as if it had never stopped, besides weights, moments and averages. */
export interface RunProgress {
  readonly step: number;
  /** Seconds of training so far, in all sessions of the run. */
  readonly elapsedSeconds: number;
  /** Lowest validation loss, null before the first. */
  readonly bestValLoss: number | null;
  /** Step of the latest validation, 0 before the first. */
  readonly validatedStep: number;
  /** State of the learning-rate schedule. */
  readonly schedule: Record<string, number>;
  /** Losses that are not in `metrics.jsonl` yet. */
  readonly openLosses: readonly number[];
  /** Digest of the training images. */
  readonly dataDigest: string;
}

/**
 * Writes the latest and the averaged weights, and all that the run continues from as one file, which is consistent at any
 * moment.
 *
 * @returns false, with nothing written, if a weight or a moment is not finite
 */
export async function saveRun(
  run: string,
  network: Network,
  source: ImageSource,
  progress: RunProgress,
): Promise<boolean> {
  const { parameters, optimizer, ema } = await network.trainer.state();
  const tensors: State = new Map();
  const add = (prefix: string, state: State = new Map()) =>
    state.forEach((value, name) => tensors.set(`${prefix}.${name}`, value));
  add("p", parameters);
  add("o", optimizer);
  add("e", ema);
  if (!tensors.values().every(({ data }) => data.every(Number.isFinite))) return false;
  await saveWeights(run, "last", network, source, parameters);
  if (ema) await saveWeights(run, "ema", network, source, ema);
  await writeAtomic(
    join(run, runFile.state),
    encodeSafetensors(tensors, { progress: JSON.stringify(progress) }),
  );
  return true;
}

/**
 * Restores a trainer to where a run stopped.
 *
 * @throws {RunError} if the run has no checkpoint, or was trained on other data
 * @throws {SafetensorsError} if the file is damaged
 * @throws {StateError} if it is of another network
 */
export async function restoreRunState(
  run: string,
  trainer: Trainer,
  dataDigest: string,
): Promise<RunProgress> {
  const path = join(run, runFile.state);
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new RunError(
      `Cannot resume ${run}: ${path} cannot be read (${reasonOf(error)}); the run has saved no checkpoint`,
    );
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const progress = progressOf(metadata.progress);
  if (!progress) {
    throw new StateError(
      `Cannot resume ${run}: ${path} holds no progress; was it written by another program?`,
    );
  }
  if (progress.dataDigest !== dataDigest) {
    throw new RunError(
      `Cannot resume ${run}: it was trained on other images (digest ${progress.dataDigest.slice(0, 12)}...)`,
    );
  }
  const part = (prefix: string): State =>
    new Map(
      [...tensors].flatMap(([name, value]) => name.startsWith(`${prefix}.`) ? [[name.slice(2), value]] : []),
    );
  const { step } = progress;
  trainer.restore({ step, parameters: part("p"), optimizer: part("o"), ema: part("e") }, path);
  return progress;
}

function progressOf(json = ""): RunProgress | undefined {
  try {
    return JSON.parse(json);
  } catch {
    return undefined; // not JSON
  }
}

/** Writes weights of a network as a checkpoint that other programs can load. */
export async function saveWeights(
  run: string,
  name: WeightsName,
  { model, options }: Network,
  source: ImageSource,
  weights: State,
): Promise<void> {
  const info = { config: options, ...source.info };
  await writeAtomic(
    join(run, weightsFile(name)),
    await saveCheckpoint(model, info, weights),
  );
}
