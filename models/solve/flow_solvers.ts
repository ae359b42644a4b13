import { type AdaptiveSolverName, adaptiveSolvers, type SolverName, solvers } from "./solvers.ts";
import { type ButcherTableau, evaluationsPerStep } from "./tableau.ts";
import type { TimesOptions } from "./time_grids.ts";

/** A Runge-Kutta method with steps that are given. */
export interface FixedSolver extends TimesOptions {
  /** Its steps are given. */
  readonly method: "fixed";
  /** Its name. */
  readonly solver: SolverName;
}

/** A Runge-Kutta method that chooses the steps of each sample. */
export interface AdaptiveSolver {
  /** It chooses its steps. */
  readonly method: "adaptive";
  /** Its name. */
  readonly solver: AdaptiveSolverName;
  /** Error allowed per step, relative to the state. */
  readonly rtol: number;
  /** Error allowed per step in any case. */
  readonly atol: number;
  /** Most evaluations of a batch. */
  readonly maxEvaluations: number;
}

/** The stochastic sampler. */
export interface StochasticSolver extends TimesOptions {
  /** It adds noise. */
  readonly method: "stochastic";
  /** Its name, for stochastic differential equation. */
  readonly solver: "sde";
  /** Strength of its diffusion. */
  readonly noise: number;
  /** Seed of the noise on the way, an integer in [0, 2^32); by default 0. */
  readonly seed?: number;
}

/** How a flow is followed. */
export type FlowSolver = FixedSolver | AdaptiveSolver | StochasticSolver;

/** Name of what can follow a flow. */
export type FlowSolverName = SolverName | "sde";

/** What is known of a solver before it runs. */
export interface SolverFacts {
  /** Evaluations of the field that a step takes. */
  readonly evaluationsPerStep: number;
  /** Evaluations before the first step. */
  readonly evaluationsAtStart: number;
  /** Whether it can choose its own steps. */
  readonly adaptive: boolean;
  /** Whether it adds noise on the way. */
  readonly stochastic: boolean;
}

function factsOf([name, tableau]: [string, ButcherTableau]): [string, SolverFacts] {
  return [name, {
    evaluationsPerStep: evaluationsPerStep(tableau),
    evaluationsAtStart: tableau.firstSameAsLast ? 1 : 0,
    adaptive: name in adaptiveSolvers,
    stochastic: false,
  }];
}

/** Everything that can follow a flow, by name: names, costs and abilities in one place. */
export const flowSolvers = {
  ...Object.fromEntries(Object.entries(solvers).map(factsOf)),
  sde: { evaluationsPerStep: 1, evaluationsAtStart: 0, adaptive: false, stochastic: true },
} as Readonly<Record<FlowSolverName, SolverFacts>>;
