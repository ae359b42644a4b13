import type { Shape, Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { AdaptiveSampler } from "./adaptive_sampler.ts";
import { Sampler, type SamplerOptions, tableauOf } from "./sampler.ts";
import { dopri5 } from "./solvers.ts";
import { timesOf } from "./time_grids.ts";

/** The steps from data to noise: adaptive with a tolerance of 1e-3, unless `steps` or `times` are given. */
export interface BackwardOptions extends SamplerOptions {
  /** Times from 0 to 1, as for sampling; they are followed from 1 back to 0. */
  readonly times?: readonly number[];
  /**
   * Error allowed of each adaptive step, relative and absolute, in (0, 1]; by default 1e-3, where `AdaptiveSampler`
   * takes 1e-5. The solver is `dopri5` by default.
   */
  readonly tolerance?: number;
}

/** Called with the share of the solve that is done, after each trial step; see {@linkcode AdaptiveSampler}. */
export type OnShare = (share: number) => void | Promise<void>;

/** Solves from data at t = 1 to noise at t = 0; says how often the field was evaluated. */
export type BackwardSolver = (
  x1: Tensor,
  onShare?: OnShare,
) => Promise<{ readonly x: Tensor; readonly evaluations: number }>;

/**
 * Records the steps of a solver from data to noise.
 *
 * @param shape of a batch
 * @throws {TypeError} if more than one of `steps`, `times` and `tolerance` are given, the solver is unknown, or has no
 * error estimate for adaptive steps
 * @throws {RangeError} if the times do not lead from 0 to 1, or the tolerance is outside (0, 1]
 */
export function backwardSolver(field: VelocityField, shape: Shape, options: BackwardOptions): BackwardSolver {
  const { steps, grid, times, tolerance, condition } = options;
  const extra = condition && { condition };
  if (steps === undefined && grid === undefined && times === undefined) {
    const [rtol, atol] = [tolerance ?? 1e-3, tolerance ?? 1e-3];
    const solver = options.solver ? tableauOf(options) : dopri5;
    const sampler = new AdaptiveSampler(field, shape, { rtol, atol, solver, from: 1, to: 0, ...extra });
    return (x1, onShare) => sampler.run(x1, onShare && { onProgress: onShare });
  }
  if (tolerance !== undefined) {
    const other = steps === undefined ? "times" : "steps";
    throw new TypeError(`Cannot solve: both ${other} and tolerance given (expected one of them)`);
  }
  const solver = tableauOf(options);
  const sampler = new Sampler(field, shape, { times: backwards(timesOf(options)), solver, ...extra });
  return (x1) => {
    const before = sampler.evaluations;
    const x = sampler.run(x1);
    return Promise.resolve({ x, evaluations: sampler.evaluations - before });
  };
}

/** The times of sampling, from data to noise. */
function backwards(times: readonly number[]): readonly number[] {
  const [first, last] = [times[0], times[times.length - 1]];
  if (first === 0 && last === 1) return times.toReversed();
  throw new RangeError(
    `Cannot solve from data to noise at times from ${first} to ${last} (expected from 0 to 1, as for sampling)`,
  );
}
