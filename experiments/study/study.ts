import { join } from "node:path";
import type { CellSettings, Plan } from "./plan.ts";
import { readStudyRecord, type StudyRecord } from "./record.ts";

/** A network of a study, trained with one seed. */
export interface Cell {
  /** Names its folder and its record, e.g. `residual-attention-off-s1`. */
  readonly id: string;
  /** The settings that the plan names, but for the seed; with `match`, the filters are those that were found. */
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

/** The folder of the cells in that of a study. */
export const cellsFolder = "cells";

/** The folder of a cell, which is an ordinary run folder. */
export function cellFolder(study: Pick<Study, "folder">, { id }: Pick<Cell, "id">): string {
  return join(study.folder, cellsFolder, id);
}

/** Records of the finished cells, in the order of the study, and what is wrong with those that cannot be read. */
export interface StudyRecords {
  readonly records: readonly StudyRecord[];
  readonly unfinished: readonly Cell[];
  /** A line for each damaged record; it counts as finished, so that nothing overwrites it. */
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
  return { records, unfinished, problems };
}
