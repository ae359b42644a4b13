import { join } from "node:path";
import type { Quality, QualityFigure, SolverQuality } from "../../viz/report/mod.ts";
import { readEvaluation } from "../evaluation/evaluation.ts";
import { type FigureMeaning, figureMeanings, figureNames } from "../evaluation/figures.ts";
import { readJudged } from "../evaluation/judged_file.ts";
import { cheapestOfBest, readSolverCosts } from "../evaluation/solver_costs.ts";
import { runFile } from "../run/layout.ts";
import { aboutEvaluation } from "../evaluation/table.ts";

/**
 * Reads how good the network of a run is.
 *
 * @param step the last step of the run, to tell an evaluation of earlier weights
 * @returns undefined if it was not evaluated
 * @throws {RunError} if a file cannot be read
 */
export async function readQuality(run: string, step: number): Promise<Quality | undefined> {
  const evaluation = await readEvaluation(run);
  if (!evaluation) return undefined;
  const { figures, course, weights } = evaluation;
  const samples = await readJudged(run);
  const old = weights.step !== undefined && weights.step !== step
    ? ` These are the weights of step ${weights.step}; the run has gone on to step ${step}.`
    : "";
  return {
    how: aboutEvaluation(evaluation).replaceAll("\n", ". ") + "." + old,
    figures: figureNames.flatMap((name): QualityFigure[] => {
      const figure = figures[name];
      if (!figure) return [];
      const { title, doc, better, share }: FigureMeaning = figureMeanings[name];
      const { value, low, high, real, noise, evaluations, seconds } = figure;
      const cost = `${evaluations.toLocaleString("en")} evaluations, ${seconds.toFixed(1)} s`;
      return [{
        ...{ title, meaning: doc, better, value, low, high, cost },
        ...share && { share },
        ...real != null && { real },
        ...noise != null && { noise },
      }];
    }),
    ...samples && { samples },
    ...course && { course },
  };
}

/**
 * Reads how good samples of a run are by solvers.
 *
 * @returns undefined if they were not compared
 * @throws {RunError} if the file cannot be read
 */
export async function readSolverQuality(run: string): Promise<SolverQuality[] | undefined> {
  const costs = await readSolverCosts(join(run, runFile.solvers));
  if (!costs || costs.solvers.length === 0) return undefined;
  const chosen = cheapestOfBest(costs.solvers);
  return costs.solvers.map((cost) => ({
    solver: cost.spec.split(":")[0] + (cost.spec.includes("tol=") ? ", own steps" : ""),
    words: cost.spec,
    evaluations: cost.evaluations,
    frechet: cost.frechet,
    confident: cost.confident.value,
    chosen: cost === chosen,
  }));
}
