import { findWeights, noWeights } from "../run/run_weights.ts";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { readFile } from "../run/read_file.ts";
import { findRun } from "../tracking/find_run.ts";

/** Weights as a file holds them. */
export interface WeightsFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** The folder of the run, where a run was named. */
  readonly run?: string;
}

/**
 * Reads a file of weights, or those of a run.
 *
 * @param checkpoint a file, or what {@linkcode findRun} finds
 * @throws {ConfigError} if there is no such file or run
 * @throws {RunError} if the file cannot be read, or the run has no weights
 */
export async function readWeights(checkpoint: string): Promise<WeightsFile> {
  if (await isFile(checkpoint)) return { path: checkpoint, bytes: await readCheckpoint(checkpoint) };
  const run = await findRun(checkpoint);
  const weights = findWeights(run);
  if (weights === undefined) throw new RunError(`Cannot draw from ${checkpoint}: ${noWeights}`);
  return { path: weights.path, bytes: await readFile(weights.path, run), run };
}

/** @throws {RunError} if the file cannot be read */
export async function readCheckpoint(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new RunError(`Cannot read the checkpoint ${path}: ${reasonOf(error)}`);
  }
}

/** Whether a word names a file; one with the ending of weights that is not there does, too. */
async function isFile(word: string): Promise<boolean> {
  if (word.endsWith(".safetensors")) return true;
  try {
    return (await Deno.stat(word)).isFile;
  } catch {
    return false;
  }
}
