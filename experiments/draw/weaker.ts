import { loadCheckpoint, type Model } from "../../models/mod.ts";
import { readFile } from "../run/read_file.ts";
import { findEarlyWeights } from "../run/run_weights.ts";

/** What a network without classes is guided away from, see `autoguided`. */
export interface Weaker {
  /** The network as it was early in its training. */
  readonly model: Model;
  /** 1 is no guidance. */
  readonly scale: number;
}

/**
 * Loads what the network of a run was early in its training.
 *
 * @returns undefined where the run has not kept it
 * @throws {CheckpointError} if the file is not a checkpoint
 * @throws {RunError} if it cannot be read, or is a link out of the run
 * @throws {SafetensorsError} if it is damaged
 */
export async function readWeaker(run: string, scale: number): Promise<Weaker | undefined> {
  const early = findEarlyWeights(run);
  if (!early) return undefined;
  return { model: loadCheckpoint(await readFile(early.path, run), early.path).model, scale };
}

/** For lines and captions. */
export function autoguidanceInWords(scale: number): string {
  return scale === 1 ? "no guidance" : `guidance ${scale} away from its early self`;
}
