import { join } from "node:path";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import {
  count,
  type FieldCheck,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  tableOf,
  text,
} from "../run/field_checks.ts";
import { readJson } from "../run/read_file.ts";

/** The file of a cell's folder that holds its record. */
export const recordFile = "cell.json";

/** What a finished cell of a study measured, the content of `cell.json`. */
export interface CellResult {
  /** Id of the cell. */
  readonly cell: string;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly seed: number;
  readonly parameters: number;
  /** Of one forward pass of one image. */
  readonly multiplyAdds: number;
  /** Images that the network learned from, counted as often as it saw them. */
  readonly images: number;
  /** Of training. */
  readonly seconds: number;
  /** Figures of `evaluation.json` by name, e.g. `frechet`. */
  readonly figures: Readonly<Record<string, number>>;
  /** Quality by solver, where the plan asks for solvers. */
  readonly costs?: readonly {
    readonly evaluations: number;
    readonly solver: string;
    readonly frechet: number;
    readonly recognised: number;
  }[];
  /** Quality in the course of training: at its milestones and at its end, where the plan has milestones. */
  readonly course?: readonly {
    readonly images: number;
    readonly seconds: number;
    readonly frechet: number;
  }[];
}

const value: FieldCheck = {
  expected: "text, a number or a switch",
  accepts: (value) => ["string", "boolean"].includes(typeof value) || Number.isFinite(value),
};

const checks: Readonly<Record<keyof CellResult, FieldCheck>> = {
  ...{ cell: text, settings: tableOf(value), seed: count },
  ...{ parameters: count, multiplyAdds: count, images: count, seconds: finiteNumber },
  figures: tableOf(finiteNumber),
  costs: ifGiven(listOf(fieldsOf({
    ...{ evaluations: finiteNumber, solver: text, frechet: finiteNumber, recognised: finiteNumber },
  }))),
  course: ifGiven(listOf(fieldsOf({ images: count, seconds: finiteNumber, frechet: finiteNumber }))),
};

/**
 * Reads the record of a cell.
 *
 * @param folder of the cell
 * @returns undefined if the cell is not finished
 * @throws {RunError} if the file cannot be read or holds no record
 */
export async function readCellResult(folder: string): Promise<CellResult | undefined> {
  const path = join(folder, recordFile);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const problem = fieldProblem(json, checks);
  if (problem === undefined) return json as unknown as CellResult;
  throw new RunError(
    `Cannot read ${path}: ${problem}; delete the file: the study then measures the cell again`,
  );
}

/** @throws {RunError} if the file cannot be written */
export async function writeCellResult(folder: string, record: CellResult): Promise<void> {
  await writeAtomic(join(folder, recordFile), JSON.stringify(record, null, 2) + "\n");
}
