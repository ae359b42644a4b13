import { evaluations, type FlowSolver, type SolverName, solvers, uniformTimes } from "../../models/mod.ts";
import { timesOf } from "../../models/solve/time_grids.ts";

/** A solver with the same steps for all samples. */
export interface FixedSteps {
  readonly solver: SolverName;
  readonly times: readonly number[];
}

/**
 * The steps of measurements that follow all samples at the same times: those that draw the samples, or 20 of Heun's
 * where samples choose their own steps or noise comes in on the way.
 */
export function followedBy(how: FlowSolver): FixedSteps {
  if (how.method === "fixed") return { solver: how.solver, times: timesOf(how) };
  return { solver: "heun", times: uniformTimes(20) };
}

/** Evaluations of the network for one image on its whole way. */
export function evaluationsOnWay({ solver, times }: FixedSteps): number {
  return evaluations(solvers[solver], times.length - 1);
}
