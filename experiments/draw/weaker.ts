import { join } from "node:path";
import { loadCheckpoint, type Model } from "../../models/mod.ts";
import { findContained } from "../run/contained.ts";
import { weightsFile } from "../run/layout.ts";
import { readFile } from "../run/read_file.ts";

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
  const path = join(run, weightsFile("early"));
  if (findContained(path) === undefined) return undefined;
  return { model: loadCheckpoint(await readFile(path, run), path).model, scale };
}

/** For lines and captions. */
export function autoguidanceInWords(scale: number): string {
  return scale === 1 ? "no guidance" : `guidance ${scale} away from its early self`;
}
