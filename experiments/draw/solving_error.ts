import { SolverError } from "../../models/mod.ts";
import { RunError } from "../run/atomic_write.ts";

/**
 * What to tell a user whose flow could not be followed: which file is damaged, or which flags limit an adaptive solver.
 *
 * @param error what the solver has thrown; any other error is returned as it is
 * @param source name of the network's file
 */
export function solvingError(error: unknown, source: string): unknown {
  if (error instanceof RunError) return new RunError(`${error.message} (${source})`);
  if (!(error instanceof SolverError)) return error;
  return new RunError(`${error.message} (--rtol, --atol, --max-evaluations; nothing is written)`);
}
