import { join } from "node:path";
import { findContained } from "./contained.ts";
import { weightsFile } from "./layout.ts";

/** The weights of a run by preference: averaged over its last steps, or the last ones where it keeps no average. */
const names = [weightsFile("ema"), weightsFile("last")];

/** A checkpoint and its size in bytes. */
export interface RunWeights {
  readonly path: string;
  readonly size: number;
}

/**
 * Finds the weights to show of a run.
 *
 * @returns undefined where the run has none
 * @throws {RunError} if the folder does not let us look, or a link in it leads out of it
 */
export function findWeights(run: string): RunWeights | undefined {
  for (const name of names) {
    const found = find(run, name);
    if (found) return found;
  }
  return undefined;
}

/**
 * Finds what the network of a run was early in its training, see `autoguided`.
 *
 * @returns undefined where the run has not kept it
 * @throws as {@linkcode findWeights}
 */
export function findEarlyWeights(run: string): RunWeights | undefined {
  return find(run, weightsFile("early"));
}

function find(run: string, name: string): RunWeights | undefined {
  const path = join(run, name);
  const found = findContained(path);
  return found && { path, size: found.size };
}

/** What a message says of a run without weights. */
export const noWeights = `it has no ${names.join(" or ")}`;
