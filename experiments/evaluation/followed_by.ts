import { evaluationsOf, type SolverOptions, uniformTimes } from "../../models/mod.ts";
import { isAdaptive } from "../../models/solve/solvers.ts";
import { timesOf } from "../../models/solve/time_grids.ts";

/** A solver with the same steps for all samples. */
export interface FixedSteps {
  readonly solver: NonNullable<SolverOptions["solver"]>;
  readonly times: readonly number[];
}

/**
 * The steps of measurements that follow all samples at the same times: those that draw the samples, or 20 of Heun's
 * where samples choose their own steps or noise comes in on the way.
 */
export function followedBy(how: SolverOptions): FixedSteps {
  if (isAdaptive(how) || how.solver === "sde") return { solver: "heun", times: uniformTimes(20) };
  return { solver: how.solver ?? "heun", times: timesOf(how) };
}

/** Evaluations of the network for one image on its whole way. */
export function evaluationsOnWay(steps: FixedSteps): number {
  return evaluationsOf(steps)!;
}
