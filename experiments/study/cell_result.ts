import { join } from "node:path";
import { type Evaluation, readEvaluation } from "../evaluation/evaluation.ts";
import { type ByFigure, figureFields, keysOf, valuesOf } from "../evaluation/figures.ts";
import type { SolverCost } from "../evaluation/solver_comparison.ts";
import { readFields, writeJson } from "../run/run_folder.ts";
import {
  count,
  type Fields,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  tableOf,
  textField,
} from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { type Metrics, readMetrics } from "../run/metrics_log.ts";
import type { LossData } from "../cli/loss_meaning.ts";
import { readConfig } from "../cli/training_config.ts";
import { readRecord } from "../tracking/record.ts";
import { settingsField } from "./plan.ts";
import { type Cell, cellFolder, type Study } from "./study.ts";

/** The file in a cell's folder that holds its result. */
const cellFile = "cell.json";

const resultFields = {
  cell: textField,
  settings: settingsField,
  seed: count,
  parameters: count,
  /** Multiply-adds of one forward pass of one image. */
  multiplyAdds: count,
  /** Number of training images, counting repeats. */
  images: count,
  /** Duration of training. */
  seconds: finiteNumber,
  /** Figures of `evaluation.json` by name, e.g. `frechet`. */
  figures: tableOf(finiteNumber),
  /** Quality by solver, if the plan names solvers. */
  costs: ifGiven(listOf(fieldsOf({
    evaluations: finiteNumber,
    solver: textField,
    ...figureFields(["frechet", "kernel", "confident", "asked_class"], finiteNumber),
  }))),
  /** Quality during training, at its milestones and its end, if the plan has milestones. */
  course: ifGiven(listOf(fieldsOf({
    images: count,
    seconds: finiteNumber,
    ...figureFields(["frechet", "kernel"], finiteNumber),
  }))),
};

/** The measurements of a finished cell, the content of `cell.json`. */
export type CellResult = Fields<typeof resultFields>;

/**
 * Reads the result in the folder of a cell.
 *
 * @returns undefined if the cell is not finished
 * @throws {RunError} if the file cannot be read or is not a result
 */
export async function readCellResult(folder: string): Promise<CellResult | undefined> {
  const advice = "delete the file, and the study will measure the cell again";
  const result = await readFields(join(folder, cellFile), resultFields, advice);
  return result?.costs ? { ...result, costs: result.costs.map(withFigureKeys) } : result;
}

/** Renames a solver's figures from their names in version 0.9, such as `recognised`. */
function withFigureKeys<Cost extends object>(cost: Cost): Cost {
  const fields = Object.entries(cost).map((
    [name, value],
  ) => [name.replace("recognised", "confident"), value]);
  return Object.fromEntries(fields) as Cost;
}

/** @throws {RunError} if the file cannot be written */
export async function writeCellResult(folder: string, result: CellResult): Promise<void> {
  await writeJson(join(folder, cellFile), result);
}

type Estimates = ByFigure<{ readonly value: number } | undefined>;

export interface CellMeasures {
  readonly figures: Evaluation["figures"];
  readonly costs: readonly SolverCost[];
  /** Quality at steps during training, of samples from the same noise as at the end. */
  readonly milestones: readonly { readonly step: number; readonly cost: Estimates }[];
}

/**
 * The steps at which quality is measured during training: 1/2, 1/4, 1/8, ... of all steps.
 *
 * @param count number of milestones; there are fewer if training is too short
 * @returns the steps, earliest first
 */
export function milestonesOf(steps: number, count = 0): number[] {
  const shares = Array.from({ length: count }, (_, k) => Math.ceil(steps / 2 ** (k + 1)));
  return [...new Set(shares)].filter((step) => step < steps).reverse();
}

/**
 * Builds the result of a cell from its run and its measurements.
 *
 * @param folder the folder of its run
 * @throws {RunError} if a file in it cannot be read
 */
export async function resultOf(
  folder: string,
  { id, settings, seed, steps, parameters, multiplyAdds }: Cell,
  { figures, costs, milestones }: CellMeasures,
): Promise<CellResult> {
  const metrics = await readMetrics(join(folder, runFile.metrics));
  const seconds = secondsUntil(Infinity, metrics);
  const { batchSize } = readConfig(folder);
  const images = steps * batchSize;
  return {
    cell: id,
    settings,
    seed,
    parameters,
    multiplyAdds,
    seconds,
    images,
    figures: valuesOf(figures) as CellResult["figures"],
    ...costs.length > 0 && {
      costs: costs.map((cost) => ({
        evaluations: Number(cost.evaluations.toPrecision(9)), // a mean over batches
        solver: cost.spec,
        ...valuesOf(cost),
      })),
    },
    ...milestones.length > 0 && {
      course: [
        ...milestones.map(({ step, cost }) => ({
          images: step * batchSize,
          seconds: secondsUntil(step, metrics),
          ...valuesOf(cost, distances),
        })),
        { images, seconds, ...valuesOf(figures, distances) },
      ],
    },
  };
}

/** The judges' distances: Fréchet, or kernel with few test images. */
const distances = keysOf(["frechet", "kernel"]);

/**
 * Seconds of training until a step, interpolated between lines of the log, which have the times at the ends of bursts.
 */
function secondsUntil(step: number, metrics: readonly Metrics[]): number {
  const timed = metrics.flatMap((line) =>
    "elapsed_seconds" in line ? [{ step: line.step, seconds: Number(line.elapsed_seconds) }] : []
  );
  const before = timed.findLast((line) => line.step <= step) ?? { step: 0, seconds: 0 };
  const after = timed.find((line) => line.step > step && line.seconds > before.seconds);
  if (!after) return before.seconds;
  const share = (step - before.step) / (after.step - before.step);
  return before.seconds + (after.seconds - before.seconds) * share;
}

export type FinishedCell = CellResult & {
  /** The data that its run trained on, if known. */
  readonly dataset?: LossData;
  /** Figures of real images, from the evaluation that measured the cell. */
  readonly real?: ByFigure<number>;
};

/** The results of the finished cells, in the order of the study. */
export interface StudyResults {
  readonly results: readonly FinishedCell[];
  readonly unfinished: readonly Cell[];
  /** One line per damaged result; its cell counts as finished, so that it is not overwritten. */
  readonly problems: readonly string[];
}

/** Reads the results of a study, and about their data from run.json and evaluation.json. */
export async function readResults(study: Study): Promise<StudyResults> {
  const results: FinishedCell[] = [];
  const unfinished: Cell[] = [];
  const problems: string[] = [];
  for (const cell of study.cells) {
    try {
      const folder = cellFolder(study, cell);
      const result = await readCellResult(folder);
      const record = await readRecord(folder).catch(() => undefined); // if it is damaged, the data is unknown
      const dataset = record?.dataset;
      const real = result && await realFigures(folder, result);
      if (result) results.push({ ...result, ...dataset && { dataset }, ...real && { real } });
      else unfinished.push(cell);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { results, unfinished, problems };
}

/** The values of real images for the figures of a result; none if the evaluation is a different one or damaged. */
async function realFigures(folder: string, { figures }: CellResult): Promise<FinishedCell["real"]> {
  const evaluation = await readEvaluation(folder).catch(() => undefined);
  return evaluation && Object.fromEntries(
    Object.entries(evaluation.figures).flatMap(([name, { value, real }]) =>
      real !== undefined && value === figures[name] ? [[name, real]] : []
    ),
  );
}
