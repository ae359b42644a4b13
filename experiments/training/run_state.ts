import { decodeProgress, encodeProgress, type RunProgress } from "../run/metrics_log.ts";
import { join } from "node:path";
import {
  checkFinite,
  decodeSafetensors,
  encodeSafetensors,
  saveCheckpoint,
  type State,
  StateError,
  stateOf,
  stateTensors,
  type Trainer,
  trainerStateOf,
} from "../../models/mod.ts";
import type { ImageSource } from "../data/image_source.ts";
import type { Dataset } from "../data/dataset.ts";
import { readIfThere, RunError, writeAtomic } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import type { Network } from "./network.ts";
import type { TrainingSession } from "./session.ts";

/**
 * Writes the latest and averaged weights, and the whole state of the run as one file, atomically.
 *
 * @returns false, with nothing written, if a weight, moment or average is not finite
 * @throws {RunError} if a file cannot be written
 */
export async function saveRun(
  run: string,
  network: Network,
  source: ImageSource,
  progress: RunProgress,
): Promise<boolean> {
  const state = await network.trainer.state();
  const { parameters, ema } = state;
  const tensors = stateTensors(state);
  if (!isFiniteState(tensors)) return false;
  await saveWeights(run, runFile.last, network, source, parameters);
  if (ema) await saveWeights(run, runFile.ema, network, source, ema);
  await writeAtomic(
    join(run, runFile.state),
    encodeSafetensors(tensors, { progress: encodeProgress(progress) }),
  );
  return true;
}

/** Whether all values of a state are finite. */
function isFiniteState(state: State): boolean {
  return state.values().every(({ data }) => data.every(Number.isFinite));
}

/** Advice for a state that cannot be used. */
const advice = "restore the file from a backup, or train again";

/**
 * Restores a trainer to the last checkpoint of a run.
 *
 * @param data the data to continue with; its labels matter only if the run learned from labels
 * @throws {RunError} if the run has no checkpoint, or was trained on other data
 * @throws {SafetensorsError} if the file is damaged
 * @throws {StateError} if it belongs to another network or program, or has values that training never saves
 */
export async function restoreRunState(
  run: string,
  trainer: Trainer,
  data: Pick<Dataset, "digest" | "labelDigest">,
): Promise<RunProgress> {
  const path = join(run, runFile.state);
  const bytes = await readIfThere(path);
  if (bytes === undefined) {
    throw new RunError(
      `Cannot resume ${run}: cannot read ${path} (there is no such file); the run may have no checkpoint yet`,
    );
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const progress = decodeProgress(metadata.progress);
  if (typeof progress === "string") {
    throw new StateError(
      `Cannot resume ${run}: ${path} does not hold the progress of a run: ${progress}; ${advice}`,
    );
  }
  checkFinite(tensors, path);
  checkSameData(run, progress, data);
  trainer.restore(trainerStateOf(tensors, progress.step), path);
  return progress;
}

function checkSameData(
  run: string,
  { dataDigest, labelDigest }: RunProgress,
  data: Pick<Dataset, "digest" | "labelDigest">,
): void {
  const mismatch = (what: string, digest: string) =>
    new RunError(`Cannot resume ${run}: it was trained on other ${what} (digest ${digest.slice(0, 12)}...)`);
  if (dataDigest !== data.digest) throw mismatch("images", dataDigest);
  if (labelDigest && labelDigest !== data.labelDigest) throw mismatch("labels", labelDigest);
}

/** Writes weights of a run as a checkpoint, to a file such as `runFile.ema`. @throws {RunError} if that fails */
export async function saveWeights(
  run: string,
  file: string,
  { model, options }: Network,
  source: ImageSource,
  weights: State,
): Promise<void> {
  const info = { config: options, ...source.info };
  await writeAtomic(join(run, file), await saveCheckpoint(model, info, weights));
}

/** Writes the current averaged weights of a run if they are finite. @throws {RunError} if they cannot be written */
export async function saveAveraged(
  { run, network, source }: Pick<TrainingSession, "run" | "network" | "source">,
  file: string,
): Promise<void> {
  const weights = await stateOf(network.averaged);
  if (isFiniteState(weights)) await saveWeights(run, file, network, source, weights);
}
