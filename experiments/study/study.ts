import { join } from "node:path";
import { runFolder } from "../run/layout.ts";
import { ConfigError } from "../settings/setting.ts";
import type { CellSettings, Plan } from "./plan.ts";
import { type CellResult, readCellResult } from "./record.ts";

/** A network of a study, trained with one seed. */
export interface Cell {
  /** Names its folder and its record, e.g. `residual-attention-off-s1`. */
  readonly id: string;
  /** The settings in which the plan lets cells differ, as it gives them. */
  readonly asked: CellSettings;
  /** All settings that the plan names, complete; with `match`, the filters are those that were found. */
  readonly settings: CellSettings;
  readonly seed: number;
  readonly steps: number;
  readonly parameters: number;
  /** Of one forward pass of one image. */
  readonly multiplyAdds: number;
  /** Of training, measured at planning time where the plan needed it. */
  readonly secondsPerStep?: number;
}

/** A study: its folder, what it compares, and the runs that this takes. */
export interface Study {
  readonly folder: string;
  /** Digest of the plan, SHA-256 in hex. */
  readonly digest: string;
  readonly plan: Plan;
  readonly cells: readonly Cell[];
}

/** The folder of a cell, which is an ordinary run folder. */
export function cellFolder(study: Pick<Study, "folder">, { id }: Pick<Cell, "id">): string {
  return join(study.folder, runFolder.cells, id);
}

/** The cell with an id. @throws {ConfigError} if there is none */
export function requireCell({ folder, cells }: Pick<Study, "folder" | "cells">, id: string): Cell {
  const cell = cells.find((cell) => cell.id === id);
  if (cell) return cell;
  const known = cells.map(({ id }) => id).join(", ");
  throw new ConfigError(
    `Cannot run the cell ${id}: ${folder} has none of that id (expected one of ${known})`,
  );
}

/** What is set of the run of a cell: what the plan asks, with the widths that match. */
export function trainedSettings({ asked, settings }: Pick<Cell, "asked" | "settings">): CellSettings {
  return asked.match === undefined ? asked : { ...asked, filters: settings.filters };
}

/** The results of the finished cells, in the order of the study. */
export interface StudyResults {
  readonly results: readonly CellResult[];
  readonly unfinished: readonly Cell[];
  /** A line for each damaged result, whose cell counts as finished, so that nothing overwrites it. */
  readonly problems: readonly string[];
}

/** Reads the results of a study. */
export async function readResults(study: Study): Promise<StudyResults> {
  const results: CellResult[] = [];
  const unfinished: Cell[] = [];
  const problems: string[] = [];
  for (const cell of study.cells) {
    try {
      const result = await readCellResult(cellFolder(study, cell));
      if (result) results.push(result);
      else unfinished.push(cell);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { results, unfinished, problems };
}
