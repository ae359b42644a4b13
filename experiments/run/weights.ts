import { join } from "node:path";
import { type CheckpointInfo, type CompleteOptions, decodeCheckpoint, type State } from "../../models/mod.ts";
import { reasonOf, RunError } from "./atomic_write.ts";
import { findContained } from "./contained.ts";
import { runFile } from "./files.ts";

/** Weights in order of preference: averaged if the run keeps an average, else last. */
const names = [runFile.ema, runFile.last];

/** Why a run without weights cannot be used, for messages. */
export const noWeights = `it has no ${names.join(" or ")}`;

/** A checkpoint and its size in bytes. */
export interface RunWeights {
  readonly path: string;
  readonly size: number;
}

/**
 * Finds the weights of a run to draw from.
 *
 * @returns undefined if there are none
 * @throws {RunError} if the folder cannot be read, or a link in it leads out of it
 */
export function findWeights(run: string): RunWeights | undefined {
  for (const name of names) {
    const weights = find(run, name);
    if (weights) return weights;
  }
  return undefined;
}

/** Finds the early weights of a run, see `autoguided`; undefined if it has none. @throws as {@linkcode findWeights} */
export function findEarlyWeights(run: string): RunWeights | undefined {
  return find(run, runFile.early);
}

function find(run: string, name: string): RunWeights | undefined {
  const path = join(run, name);
  const file = findContained(path);
  return file && { path, size: file.size };
}

/** Weights that a setting names. */
export interface GivenWeights {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tensors: State;
  readonly info: CheckpointInfo & { readonly config: CompleteOptions };
}

/**
 * The file of weights that a setting names: the file itself, or the averaged weights of a run.
 *
 * @param doing for the error, such as `distil`
 * @throws {RunError} if there is none
 */
export function weightsPath(source: string, doing: string): string {
  try {
    if (Deno.statSync(source).isFile) return source;
  } catch (error) {
    throw new RunError(`Cannot ${doing} ${source}: ${reasonOf(error)}`);
  }
  const weights = findWeights(source);
  if (weights) return weights.path;
  throw new RunError(`Cannot ${doing} ${source}: ${noWeights}`);
}

/**
 * Reads the weights that a setting names. Needs no device.
 *
 * @throws {RunError} if they cannot be read
 * @throws as `decodeCheckpoint`
 */
export function readGivenWeights(source: string, doing: string): GivenWeights {
  const path = weightsPath(source, doing);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Deno.readFileSync(path);
  } catch (error) {
    throw new RunError(`Cannot ${doing} ${path}: ${reasonOf(error)}`);
  }
  const { tensors, info } = decodeCheckpoint(bytes, path);
  return { path, bytes, tensors, info: { ...info, config: info.config as CompleteOptions } }; // it fills in the defaults
}
