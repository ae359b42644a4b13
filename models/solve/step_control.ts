import { UserError } from "../../kernels/mod.ts";
import type { Span } from "./time_grids.ts";

/** Tolerances that make the steps adaptive. */
export interface ToleranceOptions {
  /** Relative error allowed per step, in (0, 1]; by default `atol`. */
  readonly rtol?: number;
  /** Absolute error allowed per step, in (0, 1]; by default `rtol`. */
  readonly atol?: number;
  /** Most evaluations per batch; by default 1,000. */
  readonly maxEvaluations?: number;
}

/** Names of these options. */
export const toleranceOptions = [
  "rtol",
  "atol",
  "maxEvaluations",
] as const satisfies readonly (keyof ToleranceOptions)[];

/** Default of `maxEvaluations`. */
export const defaultMaxEvaluations = 1000;

/** Whether options select adaptive steps. */
export function isAdaptive({ rtol, atol }: ToleranceOptions): boolean {
  return rtol !== undefined || atol !== undefined;
}

/** A step that a solver attempted. */
export interface TriedStep {
  /** Start time. */
  readonly t: number;
  /** Length, negative when going back in time. */
  readonly dt: number;
  /** Estimated error divided by the allowed error. */
  readonly ratio: number;
  /** Whether the ratio was at most 1. */
  readonly accepted: boolean;
}

/** Thrown if an adaptive solver fails: its steps get too short or too many. */
export class SolverError extends UserError {
  /** Name of the error. */
  override name = "SolverError";
}

/** How far the next step aims below the allowed error, and bounds of its length, relative to the last one. */
const [safety, shortest, longest] = [0.9, 0.2, 10];

/**
 * The length of the next step relative to the last one: at least 1 after acceptance, less than 1 after rejection. The
 * estimated error grows as dt^order, since the order of the embedded method is one less than the solver's.
 *
 * @param ratio estimated error / allowed error; steps with a ratio of at most 1 are accepted, NaN is rejected
 * Source: Hairer, Nørsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.4
 */
export function stepFactor(ratio: number, order: number): number {
  if (Number.isNaN(ratio)) return shortest;
  const factor = safety * ratio ** (-1 / order);
  return ratio <= 1 ? Math.min(Math.max(factor, 1), longest) : Math.min(Math.max(factor, shortest), safety);
}

/**
 * A first, small guess of the step from the norms of state and velocity.
 *
 * @param d0 norm of x / allowed error
 * @param d1 norm of v / allowed error
 * Source: Hairer, Nørsett and Wanner 1993, section II.4, also for `refinedStep`
 */
export function guessedStep(d0: number, d1: number): number {
  return d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
}

/**
 * The first step, given the change of velocity over the guessed step.
 *
 * @param d2 norm of the change of v over the guessed step, divided by its length
 */
export function refinedStep(guess: number, d1: number, d2: number, order: number): number {
  const most = Math.max(d1, d2);
  const refined = most <= 1e-15 ? Math.max(1e-6, guess * 1e-3) : (0.01 / most) ** (1 / order);
  return Math.min(100 * guess, refined);
}

/** The time of one sample, in f64, and its attempted steps. */
export class SampleClock {
  /** Current time. */
  t: number;
  /** All attempted steps. */
  readonly steps: TriedStep[] = [];
  readonly #span: Required<Span>;
  readonly #order: number;
  #dt = 0;

  /** Starts at `from`, for a solver of an order. */
  constructor(span: Required<Span>, order: number) {
    this.t = span.from;
    this.#span = span;
    this.#order = order;
  }

  /** Whether it has reached the end. */
  get done(): boolean {
    return this.left === 0;
  }

  /** Remaining time, signed. */
  get left(): number {
    return this.#span.to - this.t;
  }

  /** Length of the next step, which never passes the end; 0 at the end. */
  get dt(): number {
    return Math.abs(this.#dt) >= Math.abs(this.left) ? this.left : this.#dt;
  }

  /** Sets the length of the first step. */
  begin(length: number): void {
    this.#dt = Math.sign(this.left) * length;
  }

  /** Records an attempted step. Returns whether it is accepted. */
  take(ratio: number): boolean {
    if (this.done) return false;
    const { t, dt } = this;
    const accepted = ratio <= 1;
    this.steps.push({ t, dt, ratio, accepted });
    if (accepted) this.t = dt === this.left ? this.#span.to : t + dt;
    this.#dt = dt * stepFactor(ratio, this.#order);
    return accepted;
  }

  /** Whether the next step is too short to change t. The last step, to the end, never is. */
  get stuck(): boolean {
    return this.dt !== this.left && !(Math.abs(this.dt) > 1e-7);
  }
}
