/** The results of a study: what the files of its cells' runs say. */

import { join } from "node:path";
import { readConfig } from "../settings/config_file.ts";
import type { LossData } from "../settings/comparable_losses.ts";
import { type Evaluation, readEvaluation } from "../evaluation/evaluation.ts";
import { valuesOf } from "../evaluation/figures.ts";
import { readSolverCosts, solversFile } from "../evaluation/solver_comparison.ts";
import { count, fieldsOf, finiteNumber, listOf, tableOf } from "../run/field_checks.ts";
import { runFile } from "../run/files.ts";
import { readMetrics } from "../run/metrics_log.ts";
import { readFields } from "../run/run_folder.ts";
import { readRecord } from "../tracking/record.ts";
import type { Cell } from "./cells.ts";
import { type ByCost, byCost, costs } from "./columns.ts";
import { cellFolder, type Study } from "./study.ts";

/** Values of figures by key, such as `frechet`. */
type FigureValues = Readonly<Record<string, number>>;

/** The measurements of a finished cell. */
export interface CellResult {
  readonly cell: Cell;
  readonly costs: ByCost<number>;
  readonly dataset: LossData;
  readonly figures: FigureValues;
  /** The same figures of real images. */
  readonly real: FigureValues;
  /** Quality by each solver of the plan, with the mean number of network evaluations per sample. */
  readonly solvers: readonly {
    readonly spec: string;
    readonly evaluations: number;
    readonly figures: FigureValues;
  }[];
  /** Quality after these steps of training. */
  readonly milestones: readonly { readonly step: number; readonly figures: FigureValues }[];
}

/** The results of the finished cells, in the order of the study. */
export async function readResults(study: Study): Promise<CellResult[]> {
  const results = [];
  for (const cell of study.cells) results.push(await readResult(study, cell));
  return results.filter((result) => result !== undefined);
}

/** The result of a cell; undefined if it is not finished, or if `evaluate` has replaced the study's evaluation. */
export async function readResult(study: Study, cell: Cell): Promise<CellResult | undefined> {
  const run = cellFolder(study, cell);
  const evaluation = await readCellEvaluation(run, cell);
  if (!evaluation?.milestones) return undefined;
  const record = await readRecord(run);
  const solvers = await readSolvers(run, evaluation, study.plan.evaluation.solvers);
  if (record?.status !== "FINISHED" || !solvers) return undefined;
  const files = {
    cell,
    record,
    evaluation,
    config: readConfig(run),
    metrics: await readMetrics(join(run, runFile.metrics)),
  };
  const real = Object.entries(evaluation.figures).filter(([, figure]) => figure.real !== undefined);
  return {
    cell,
    costs: byCost((name) => costs[name].of(files)),
    dataset: evaluation.dataset,
    figures: valuesOf(evaluation.figures),
    real: Object.fromEntries(real.map(([key, figure]) => [key, figure.real!])),
    solvers,
    milestones: evaluation.milestones,
  };
}

/** What version 1.0 wrote to `cell.json` alone. */
const earlierFields = {
  multiplyAdds: count,
  /** At milestones and at the end; empty without milestones. */
  course: listOf(fieldsOf({ images: count, figures: tableOf(finiteNumber) })),
};

/** The evaluation of a cell; without milestones, even an empty list of them, it is not of a study. */
async function readCellEvaluation(run: string, { steps }: Cell): Promise<Evaluation | undefined> {
  const evaluation = await readEvaluation(run);
  if (!evaluation || evaluation.multiplyAdds !== undefined) return evaluation;
  const advice = "delete the file, and the study will evaluate the cell again";
  const earlier = await readFields(join(run, "cell.json"), earlierFields, advice);
  if (!earlier) return evaluation;
  const end = earlier.course.at(-1)?.images ?? 0;
  const milestones = earlier.course.slice(0, -1).map(({ images, figures }) => ({
    step: Math.round(steps * images / end),
    figures,
  }));
  return { ...evaluation, multiplyAdds: earlier.multiplyAdds, milestones };
}

/** Quality by the solvers of the plan, if there are judges; undefined if they were not measured like the rest. */
async function readSolvers(
  run: string,
  { asked, judges }: Evaluation,
  specs: readonly string[],
): Promise<CellResult["solvers"] | undefined> {
  if (judges.length === 0 || specs.length === 0) return [];
  const stored = await readSolverCosts(solversFile(run));
  const { count, seed, guidance } = stored?.common ?? {};
  if (count !== asked?.count || seed !== asked?.seed || guidance !== asked?.guidance) return undefined;
  const found = stored?.solvers.filter(({ spec }) => specs.includes(spec)) ?? [];
  if (found.length < specs.length) return undefined;
  return found.map(({ spec, evaluations, figures }) => ({
    spec,
    evaluations: Number(evaluations.toPrecision(9)), // of adaptive solvers it is a mean over batches
    figures: valuesOf(figures),
  }));
}
