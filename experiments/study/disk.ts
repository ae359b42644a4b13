import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { RunError } from "../run/atomic_write.ts";
import type { Cell } from "./study.ts";

/** Values kept of each parameter: four files of weights, and a state with weights, their average and two moments. */
const valuesOfParameter = 8;
/** Pictures, flows, samples beside training images, and the report of a run of 28 x 28 pixels. */
const picturesBytes = 12 << 20;

/** Bytes that the run of a cell takes, about, with the weights of so many milestones. */
export function cellBytes({ parameters }: Pick<Cell, "parameters">, milestones = 0): number {
  return 4 * (valuesOfParameter + milestones) * parameters + picturesBytes;
}

/**
 * Checks that there is room for cells.
 *
 * @param folder where they go; it need not be there yet
 * @param freeBytes what is free there; undefined where nobody knows, and then nothing is checked
 * @param milestones at which each keeps its weights
 * @throws {RunError} if there is not
 */
export function checkRoom(
  folder: string,
  cells: readonly Pick<Cell, "parameters">[],
  freeBytes: number | undefined,
  milestones = 0,
): void {
  const bytes = cells.reduce((sum, cell) => sum + cellBytes(cell, milestones), 0);
  if (freeBytes === undefined || bytes <= freeBytes) return;
  throw new RunError(
    `Cannot run ${cells.length} cells in ${folder}: they take about ${gigabytes(bytes)}, and ${
      gigabytes(freeBytes)
    } ` +
      "are free there (expected more room, or --out on another disk)",
  );
}

/** Bytes that are free where a folder is or will be; undefined where that may not be asked. */
export async function freeBytesAt(folder: string): Promise<number | undefined> {
  for (let at = resolve(folder);; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return Number(bavail) * Number(bsize);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable || dirname(at) === at) return undefined;
    }
  }
}

/** Bytes in a unit that people read. */
export function gigabytes(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.ceil(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
