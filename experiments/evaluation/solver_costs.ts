import type { Estimate } from "../../models/measures/estimate.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import type { Dataset } from "../data/dataset.ts";
import { count, fieldProblem, fieldsOf, finiteNumber, listOf, text } from "../run/field_checks.ts";
import { readJson } from "../run/contained.ts";

/** Samples by one solver: what they cost, and how good they are. */
export interface SolverCost {
  /** As `makeSolver` reads it. */
  readonly spec: string;
  /** Evaluations of the network for a sample, guided ones counted twice; the mean where samples differ. */
  readonly evaluations: number;
  /** For all samples. */
  readonly seconds: number;
  readonly frechet: Estimate;
  /** Share of samples of which the judge is certain. */
  readonly confident: Estimate;
}

/** Quality against cost for each solver, the content of `solvers.json`. */
export interface SolverCosts {
  readonly version: 1;
  /** What all solvers have in common; a result under other conditions is not kept. */
  readonly common: {
    /** SHA-256 of the weights, and of the judge's, in hex. */
    readonly weights: string;
    readonly judge: string;
    readonly device: string;
    readonly count: number;
    readonly seed: number;
    /** Guidance by the class; 1 is none. */
    readonly guidance: number;
    /** Of the images that the samples are compared with. */
    readonly testOrder?: Dataset["testOrder"];
  };
  readonly solvers: readonly SolverCost[];
}

const estimate = fieldsOf({ value: finiteNumber, low: finiteNumber, high: finiteNumber });

const checks = {
  version: { expected: "1; measure the solvers again", accepts: (value: unknown) => value === 1 },
  common: fieldsOf({ weights: text, judge: text, device: text, count, seed: count, guidance: finiteNumber }),
  solvers: listOf(fieldsOf({
    ...{ spec: text, evaluations: finiteNumber, seconds: finiteNumber },
    ...{ frechet: estimate, confident: estimate },
  })),
};

/**
 * Reads a comparison of solvers, of a run or at a path of its own.
 *
 * @returns undefined if they were not measured
 * @throws {RunError} if the file cannot be read or holds something else
 */
export async function readSolverCosts(path: string): Promise<SolverCosts | undefined> {
  const json = await readJson(path);
  if (json === undefined) return undefined;
  const problem = fieldProblem(json, checks);
  if (problem === undefined) return json as unknown as SolverCosts;
  throw new RunError(`Cannot read ${path}: ${problem}; delete the file, or measure the solvers again`);
}

/** @throws {RunError} if the file cannot be written */
export async function writeSolverCosts(path: string, costs: SolverCosts): Promise<void> {
  await writeAtomic(path, JSON.stringify(costs, null, 2) + "\n");
}

/**
 * The cheapest solver that may be as good as the best: its Fréchet distance lies in the interval of the lowest.
 *
 * @param solvers at least one
 */
export function cheapestOfBest(solvers: readonly SolverCost[]): SolverCost {
  const best = solvers.reduce((a, b) => b.frechet.value < a.frechet.value ? b : a);
  return solvers.filter(({ frechet }) => frechet.value <= best.frechet.high)
    .reduce((a, b) => b.evaluations < a.evaluations ? b : a);
}
