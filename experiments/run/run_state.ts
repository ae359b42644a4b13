import { join } from "node:path";
import {
  decodeSafetensors,
  encodeSafetensors,
  saveCheckpoint,
  type State,
  StateError,
} from "../../models/mod.ts";
import { RunError, writeAtomic } from "./run_folder.ts";
import { reasonOf } from "./atomic_write.ts";
import type { Trainer } from "../training/trainer.ts";
import type { ImageSource } from "../data/image_source.ts";
import { runFile, weightsFile, type WeightsName } from "./layout.ts";

/** What a run must know to go on as if it had never stopped, besides weights, moments and averages. */
export interface RunProgress {
  readonly step: number;
  /** Seconds of training so far, over all sessions of the run. */
  readonly elapsedSeconds: number;
  /** Lowest validation loss, null before the first. */
  readonly bestValLoss: number | null;
  /** Step of the latest validation, 0 before the first. */
  readonly validatedStep: number;
  /** State of the learning-rate schedule. */
  readonly schedule: Record<string, number>;
  /** Losses that no line of `metrics.jsonl` tells of yet. */
  readonly openLosses: readonly number[];
  /** Digest of the training images. */
  readonly dataDigest: string;
}

/**
 * Writes the latest and the averaged weights, and what the run goes on from as one file, so that it is whole at any
 * moment.
 *
 * @returns false, with nothing written, if a weight or a moment is no finite number
 */
export async function saveRun(
  run: string,
  trainer: Trainer,
  source: ImageSource,
  progress: RunProgress,
): Promise<boolean> {
  const parts = { p: trainer.flat.state(), o: trainer.optimizer.state(), e: trainer.ema?.state() };
  const tensors: State = new Map();
  const add = (prefix: string, state: State) =>
    state.forEach((value, name) => tensors.set(`${prefix}.${name}`, value));
  const latest = await parts.p;
  const averaged = (await parts.e)?.tensors;
  add("p", latest);
  add("o", (await parts.o).tensors);
  if (averaged) add("e", averaged);
  if (!tensors.values().every(({ data }) => data.every(Number.isFinite))) return false;
  await saveWeights(run, "last", trainer, source, latest);
  if (averaged) await saveWeights(run, "ema", trainer, source, averaged);
  await writeAtomic(
    join(run, runFile.state),
    encodeSafetensors(tensors, { progress: JSON.stringify(progress) }),
  );
  return true;
}

/**
 * Brings a trainer to where a run stopped.
 *
 * @throws {RunError} if the run has no checkpoint, or it is of other data
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
      `Cannot resume ${run}: ${path} cannot be read (${reasonOf(error)}); the run saved no checkpoint`,
    );
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const progress = progressOf(metadata.progress);
  if (!progress) {
    throw new StateError(`Cannot resume ${run}: ${path} holds no progress; is it of another program?`);
  }
  if (progress.dataDigest !== dataDigest) {
    throw new RunError(
      `Cannot resume ${run}: its training images were others (digest ${progress.dataDigest.slice(0, 12)}...)`,
    );
  }
  const part = (prefix: string): State =>
    new Map(
      [...tensors].flatMap(([name, value]) => name.startsWith(`${prefix}.`) ? [[name.slice(2), value]] : []),
    );
  trainer.flat.load(part("p"), path);
  trainer.optimizer.restore({ step: progress.step, tensors: part("o") }, path);
  trainer.ema?.restore({ step: progress.step, tensors: part("e") }, path);
  trainer.restored();
  return progress;
}

function progressOf(json = ""): RunProgress | undefined {
  try {
    return JSON.parse(json);
  } catch {
    return undefined; // not JSON
  }
}

/** Writes weights of a trainer's network as a checkpoint that other programs load. */
export async function saveWeights(
  run: string,
  name: WeightsName,
  trainer: Trainer,
  source: ImageSource,
  weights: State,
): Promise<void> {
  const info = { config: trainer.options, ...source.info };
  await writeAtomic(
    join(run, weightsFile(name)),
    await saveCheckpoint(trainer.model, info, weights),
  );
}
