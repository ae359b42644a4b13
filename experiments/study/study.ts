import { join } from "node:path";
import { runFolder } from "../run/layout.ts";
import { ConfigError } from "../settings/setting.ts";
import type { CellSettings, Plan } from "./plan.ts";
import { readStudyRecord, recordFile, type StudyRecord } from "./record.ts";

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

/** Records of the finished cells, in the order of the study, and what is wrong with those that cannot be read. */
export interface StudyRecords {
  readonly records: readonly StudyRecord[];
  readonly unfinished: readonly Cell[];
  /**
   * A line for each damaged record, which counts as finished, so that nothing overwrites it, and for each that was measured
   * on other test images than the rest.
   */
  readonly problems: readonly string[];
}

/** Reads the records of a study; a damaged one keeps no other from being read. */
export async function readRecords(study: Study): Promise<StudyRecords> {
  const records: StudyRecord[] = [];
  const unfinished: Cell[] = [];
  const problems: string[] = [];
  for (const cell of study.cells) {
    try {
      const record = await readStudyRecord(cellFolder(study, cell));
      if (record) records.push(record);
      else unfinished.push(cell);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { records, unfinished, problems: [...problems, ...otherTestImages(study, records)] };
}

/** A line for each record whose data have their test images in random order now, and had not when it was measured. */
function otherTestImages(study: Pick<Study, "folder">, records: readonly StudyRecord[]): string[] {
  const mixed = new Set(records.filter(({ testOrder }) => testOrder).map(({ settings }) => settings.data));
  return records.filter(({ settings, testOrder }) => !testOrder && mixed.has(settings.data)).map(({ cell }) =>
    `Cannot compare ${cell} with the other cells: it was measured on the first test images of the file, they on ` +
    `random ones; delete ${
      join(cellFolder(study, { id: cell }), recordFile)
    }: the study then measures it again`
  );
}
