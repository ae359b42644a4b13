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
import { type CellSettings, settingsField } from "./plan.ts";
import { type Cell, cellFolder, type Study } from "./study.ts";

/** The file of a cell's folder with its result. */
const cellFile = "cell.json";

/** What a finished cell measured, the content of `cell.json`. */
export interface CellResult {
  /** Id of the cell. */
  readonly cell: string;
  readonly settings: CellSettings;
  readonly seed: number;
  readonly parameters: number;
  /** Of one forward pass of one image. */
  readonly multiplyAdds: number;
  /** Images that the network learned from, each counted as often as it was used. */
  readonly images: number;
  /** Of training. */
  readonly seconds: number;
  /** Figures of `evaluation.json` by name, e.g. `frechet`. */
  readonly figures: Readonly<Record<string, number>>;
  /** Quality by solver, where the plan names solvers. */
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

const resultFields: Readonly<Record<keyof CellResult, FieldCheck>> = {
  cell: text,
  settings: settingsField,
  seed: count,
  parameters: count,
  multiplyAdds: count,
  images: count,
  seconds: finiteNumber,
  figures: tableOf(finiteNumber),
  costs: ifGiven(listOf(fieldsOf({
    evaluations: finiteNumber,
    solver: text,
    frechet: finiteNumber,
    recognised: finiteNumber,
  }))),
  course: ifGiven(listOf(fieldsOf({ images: count, seconds: finiteNumber, frechet: finiteNumber }))),
};

/**
 * Reads the result of a cell.
 *
 * @param folder of the cell
 * @returns undefined if the cell is not finished
 * @throws {RunError} if the file cannot be read or holds no result
 */
export async function readCellResult(folder: string): Promise<CellResult | undefined> {
  const path = join(folder, cellFile);
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const problem = fieldProblem(json, resultFields);
  if (problem === undefined) return json as unknown as CellResult;
  throw new RunError(
    `Cannot read ${path}: ${problem}; delete the file, and the study measures the cell again`,
  );
}

/** @throws {RunError} if the file cannot be written */
export async function writeCellResult(folder: string, result: CellResult): Promise<void> {
  await writeAtomic(join(folder, cellFile), JSON.stringify(result, null, 2) + "\n");
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
