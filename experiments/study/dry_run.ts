import { textTable } from "../terminal/table.ts";
import { clock } from "../program/progress.ts";
import { cellBytes, gigabytes } from "./disk.ts";
import type { PlannedStudy } from "./open_study.ts";
import type { Cell } from "./study.ts";

/** What a study would run, as a table with what each network is and takes, and what all of it takes. */
export function dryRun(
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
    gigabytes(cellBytes(cell, milestones)),
    !unfinished.includes(cell) ? "finished" : known && isNew(cell) ? "added" : "",
  ]);
  const seconds = unfinished.reduce((sum, { steps, secondsPerStep = 0 }) => sum + steps * secondsPerStep, 0);
  const isTimed = unfinished.some(({ secondsPerStep }) => secondsPerStep !== undefined);
  const time = isTimed ? `${clock(seconds / jobs)} of training by ${jobs} at once, then evaluations; ` : "";
  const bytes = unfinished.reduce((sum, cell) => sum + cellBytes(cell, milestones), 0);
  return [
    textTable([head, ...rows], (column) => column > 1 && column < 7),
    ...dropped.length > 0
      ? [`Not in the plan any more, and kept: ${dropped.map(({ id }) => id).join(", ")}`]
      : [],
    `${unfinished.length} of ${study.cells.length} cells to run in ${study.folder}: ${time}about ${
      gigabytes(bytes)
    }`,
  ].join("\n");
}
