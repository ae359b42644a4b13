import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { RunError } from "../run/run_folder.ts";
import { gigabytes } from "../cli/dry_run.ts";
import { textTable } from "../cli/output.ts";
import { clock } from "../cli/progress.ts";
import type { PlannedStudy } from "./plan_study.ts";
import type { Cell } from "./study.ts";

/** A table of the cells that a study would run, with their sizes, times and disk space. */
export function cellTable(
  { study, added, dropped, known }: PlannedStudy,
  unfinished: readonly Cell[],
  jobs: number,
): string {
  const { milestones } = study.plan.evaluation;
  const head = ["cell", "filters", "parameters", "multiply-adds", "steps", "training", "disk", ""];
  const isNew = (cell: Cell) => added.some(({ id }) => id === cell.id);
  const rows = study.cells.map((cell) => [
    cell.id,
    String(cell.settings.filters ?? ""),
    cell.parameters.toLocaleString("en"),
    cell.multiplyAdds.toLocaleString("en"),
    String(cell.steps),
    cell.secondsPerStep === undefined ? "" : clock(cell.steps * cell.secondsPerStep),
    gigabytes(bytesOf([cell], milestones)),
    !unfinished.includes(cell) ? "finished" : known && isNew(cell) ? "added" : "",
  ]);
  const seconds = unfinished.reduce((sum, { steps, secondsPerStep = 0 }) => sum + steps * secondsPerStep, 0);
  const time = seconds > 0
    ? `${clock(seconds / jobs)} of training, ${jobs} at a time, then evaluations; `
    : "";
  const toRun = `${unfinished.length} of ${study.cells.length} cells to run in ${study.folder}`;
  return [
    textTable([head, ...rows], (column) => column > 1 && column < 7),
    ...dropped.length > 0
      ? [`Kept although no longer planned: ${dropped.map(({ id }) => id).join(", ")}`]
      : [],
    `${toRun}: ${time}about ${gigabytes(bytesOf(unfinished, milestones))}`,
  ].join("\n");
}

/**
 * Checks that the disk has room for cells.
 *
 * @param folder the folder of the study, which may not exist yet
 * @param freeBytes free bytes there; if undefined, nothing is checked
 * @param milestones the number of milestones per cell; each stores weights
 * @throws {RunError} if there is too little room
 */
export function checkRoom(
  folder: string,
  cells: readonly Pick<Cell, "parameters">[],
  freeBytes: number | undefined,
  milestones: number,
): void {
  const bytes = bytesOf(cells, milestones);
  if (freeBytes === undefined || bytes <= freeBytes) return;
  throw new RunError(
    `Cannot run ${cells.length} cells in ${folder}: they need about ${gigabytes(bytes)}, and ${
      gigabytes(freeBytes)
    } are free (expected more room, or --out on another disk)`,
  );
}

/** Free bytes on the disk of a folder, which may not exist yet; undefined without permission. */
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

/** Values stored for each parameter: four files of weights, and a state with weights, their average and two moments. */
const valuesOfParameter = 8;
/** Pictures, trajectories, judged samples and the report of a run of 28 x 28 pixels. */
const picturesBytes = 12 << 20;

/** Approximate bytes of the runs of cells, each with weights at some milestones. */
export function bytesOf(cells: readonly { readonly parameters: number }[], milestones: number): number {
  return cells.reduce(
    (sum, { parameters }) => sum + 4 * (valuesOfParameter + milestones) * parameters + picturesBytes,
    0,
  );
}
