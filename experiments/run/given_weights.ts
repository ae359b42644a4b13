import { type CheckpointInfo, type CompleteOptions, decodeCheckpoint, type State } from "../../models/mod.ts";
import { reasonOf, RunError } from "./atomic_write.ts";
import { findWeights, noWeights } from "./layout.ts";

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
export function weightsPath(given: string, doing: string): string {
  try {
    if (Deno.statSync(given).isFile) return given;
  } catch (error) {
    throw new RunError(`Cannot ${doing} ${given}: ${reasonOf(error)}`);
  }
  const found = findWeights(given);
  if (found) return found.path;
  throw new RunError(`Cannot ${doing} ${given}: ${noWeights}`);
}

/**
 * Reads the weights that a setting names. Needs no device.
 *
 * @throws {RunError} if they cannot be read
 * @throws as `decodeCheckpoint`
 */
export function readGivenWeights(given: string, doing: string): GivenWeights {
  const path = weightsPath(given, doing);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Deno.readFileSync(path);
  } catch (error) {
    throw new RunError(`Cannot ${doing} ${path}: ${reasonOf(error)}`);
  }
  const { tensors, info } = decodeCheckpoint(bytes, path);
  return { path, bytes, tensors, info: { ...info, config: info.config as CompleteOptions } }; // it fills in the defaults
}
