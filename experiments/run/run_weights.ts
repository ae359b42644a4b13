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
    const path = join(run, name);
    const found = findContained(path);
    if (found) return { path, size: found.size };
  }
  return undefined;
}

/** What a message says of a run without weights. */
export const noWeights = `it has no ${names.join(" or ")}`;
