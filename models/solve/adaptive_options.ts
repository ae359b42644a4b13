import { type Tensor, UserError } from "../../kernels/mod.ts";
import { isCount } from "../../kernels/core/checks.ts";
import { unknownName } from "../names.ts";
import type { Snapshot } from "./sampler.ts";
import { type AdaptiveSolverName, adaptiveSolvers } from "./solvers.ts";
import type { StepControlOptions, TriedStep } from "./step_control.ts";
import type { ButcherTableau, EmbeddedTableau } from "./tableau.ts";

/** From which time to which. */
export interface Span {
  /** Time to begin at; by default 0, noise. */
  readonly from?: number;
  /** Time to end at; by default 1, data. Less than `from` goes back. */
  readonly to?: number;
}

/** How the flow is solved. */
export interface AdaptiveOptions extends StepControlOptions, Span {
  /** A solver with an error estimate, by name or as a tableau; by default `dopri5`. */
  readonly solver?: AdaptiveSolverName | ButcherTableau;
  /** Most evaluations of the field; by default 1,000. */
  readonly maxEvaluations?: number;
  /** Condition of the field, one row per sample. */
  readonly condition?: Tensor;
}

/** Options of one solve. */
export interface AdaptiveRunOptions extends Span {
  /**
   * Times of the states to return, in order from start to end, both allowed. The steps do not depend on them: each
   * sample is interpolated within its own steps.
   */
  readonly snapshots?: readonly number[];
  /**
   * Called after every try with the share of the time that is solved, the least of all samples. If it gives a promise,
   * the solver waits for it; if it throws, the solver stops.
   */
  readonly onProgress?: (share: number) => void | Promise<void>;
}

/** What an adaptive solver found. */
export interface AdaptiveSolution {
  /** x at the end, f32[N, C, H, W]. */
  readonly x: Tensor;
  /** How often the field was evaluated, each time on the whole batch. */
  readonly evaluations: number;
  /** The steps of each sample: where it stepped, and what was rejected. */
  readonly steps: readonly (readonly TriedStep[])[];
  /**
   * The states at the times that were asked for, in their order, each with a velocity: the slope of the interpolation,
   * which is v(x, t) within its error.
   */
  readonly snapshots: readonly Required<Snapshot>[];
}

/** How far a solver got before it failed. */
export interface SolverProgress {
  /** Where each sample is. */
  readonly t: readonly number[];
  /** How often the field was evaluated. */
  readonly evaluations: number;
  /** The steps of each sample until then. */
  readonly steps: readonly (readonly TriedStep[])[];
}

/** An adaptive solver cannot go on. */
export class SolverError extends UserError {
  /** Name of the error. */
  override name = "SolverError";
  /** How far it got. */
  readonly reached: SolverProgress;

  /** With a message for the user, and how far the solver got. */
  constructor(message: string, reached: SolverProgress) {
    super(message);
    this.reached = reached;
  }
}

/** Default tolerances and limits. */
export const adaptiveDefaults = { rtol: 1e-5, atol: 1e-5, from: 0, to: 1, maxEvaluations: 1000 } as const;

/**
 * The tableau of a solver that can choose its own steps.
 *
 * @throws {TypeError} if the solver is unknown, or has no error estimate
 */
export function embeddedTableau(solver: AdaptiveSolverName | ButcherTableau): EmbeddedTableau {
  if (typeof solver === "object") {
    const { error } = solver;
    if (error) return { ...solver, error };
    throw new TypeError("Cannot adapt the steps of a solver without an error estimate (expected `error`)");
  }
  if (Object.hasOwn(adaptiveSolvers, solver)) return adaptiveSolvers[solver];
  throw new TypeError(unknownName("adaptive solver", solver, Object.keys(adaptiveSolvers)));
}

function fail(name: string, value: number, expected: string): never {
  throw new RangeError(`Cannot solve: ${name} is ${value} (expected ${expected})`);
}

/** @throws {RangeError} if times lie outside [0, 1] or are the same */
export function checkSpan(span: Required<Span>): void {
  for (const name of ["from", "to"] as const) {
    if (!(span[name] >= 0 && span[name] <= 1)) fail(name, span[name], "a time in [0, 1]");
  }
  if (span.from === span.to) fail("to", span.to, "another time than `from`");
}

/** @throws {RangeError} if a tolerance is outside (0, 1], or the limit is not a positive integer */
export function checkLimits(options: { rtol: number; atol: number; maxEvaluations: number }): void {
  for (const name of ["rtol", "atol"] as const) {
    if (!(options[name] > 0 && options[name] <= 1)) fail(name, options[name], "a number above 0, at most 1");
  }
  const { maxEvaluations } = options;
  if (!isCount(maxEvaluations, 1)) fail("maxEvaluations", maxEvaluations, "a positive integer");
}

/** @throws {RangeError} naming the first time that is not between the ends of a span, or is not in order */
export function checkSnapshots(times: readonly number[], { from, to }: Required<Span>): void {
  const direction = Math.sign(to - from);
  const bad = times.findIndex((t, i) =>
    !(direction * (t - (times[i - 1] ?? from)) >= (i > 0 ? Number.MIN_VALUE : 0) && direction * (to - t) >= 0)
  );
  if (bad < 0) return;
  throw new RangeError(
    `Cannot solve: snapshot ${bad} is at t = ${
      times[bad]
    } (expected different times in order, from ${from} to ${to})`,
  );
}
