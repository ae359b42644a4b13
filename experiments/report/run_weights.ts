import { join } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { weightsFile } from "../run/layout.ts";

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
 * @throws {RunError} if the folder does not let us look
 */
export async function findWeights(run: string): Promise<RunWeights | undefined> {
  for (const name of names) {
    const path = join(run, name);
    try {
      return { path, size: (await Deno.stat(path)).size };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw new RunError(`Cannot look for the weights ${path}: ${reasonOf(error)}`);
    }
  }
  return undefined;
}

/** What a message says of a run without weights. */
export const noWeights = `it has no ${names.join(" or ")}`;
