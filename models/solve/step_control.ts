import { UserError } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import type { Span } from "./time_grids.ts";

/** A step that a solver tried. */
export interface TriedStep {
  /** Where it began. */
  readonly t: number;
  /** Its length; negative goes back in time. */
  readonly dt: number;
  /** Its estimated error, as a multiple of what is allowed. */
  readonly ratio: number;
  /** Whether the ratio was at most 1. */
  readonly accepted: boolean;
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
  /** The name of the class, also in minified code. */
  override name = "SolverError";

  /** With a message for the user, and how far the solver got. */
  constructor(message: string, readonly reached: SolverProgress) {
    super(message);
  }
}

/** @throws {RangeError} if a tolerance is outside (0, 1], or the most evaluations are not a positive integer */
export function checkLimits(limits: { rtol: number; atol: number; maxEvaluations: number }): void {
  const { maxEvaluations, ...tolerances } = limits;
  for (const [name, value] of Object.entries(tolerances)) {
    if (value > 0 && value <= 1) continue;
    throw new RangeError(`Cannot solve: ${name} is ${value} (expected a number above 0, at most 1)`);
  }
  checkCount("solve", "maxEvaluations", maxEvaluations);
}

/** The next step aims at a little less than the error allowed. */
const safety = 0.9;
/** Bounds of how much longer or shorter the next step may be. */
const [shortest, longest] = [0.2, 10];

/**
 * The length of the next step, as a multiple of the last one. The error of one step grows as dt^order, since the
 * estimate's method has an order one less than the solver's.
 *
 * @param ratio estimated error by error allowed; a step of ratio 1 or less is accepted, NaN is not
 * @param order of the solver
 * @returns at least 1 after acceptance, less than 1 after rejection
 * Source: Hairer, Nørsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.4
 */
export function stepFactor(ratio: number, order: number): number {
  if (Number.isNaN(ratio)) return shortest;
  const factor = safety * ratio ** (-1 / order);
  return ratio <= 1 ? Math.min(Math.max(factor, 1), longest) : Math.min(Math.max(factor, shortest), safety);
}

/**
 * A first guess of the step: small, from the sizes of the state and its velocity alone.
 *
 * @param d0 norm of x, by the error allowed
 * @param d1 norm of v, by the error allowed
 * Source: Hairer, Nørsett and Wanner 1993, section II.4, as is `refinedStep`
 */
export function guessedStep(d0: number, d1: number): number {
  return d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
}

/**
 * The first step, once the velocity after the guessed one is known.
 *
 * @param d2 norm of the change of v over the guessed step, divided by its length
 */
export function refinedStep(guess: number, d1: number, d2: number, order: number): number {
  const most = Math.max(d1, d2);
  const refined = most <= 1e-15 ? Math.max(1e-6, guess * 1e-3) : (0.01 / most) ** (1 / order);
  return Math.min(100 * guess, refined);
}

/** The time of one sample, in f64, and the steps that it tried. */
export class SampleClock {
  /** Where it is. */
  t: number;
  /** Every step that was tried. */
  readonly steps: TriedStep[] = [];
  readonly #to: number;
  readonly #direction: number;
  readonly #order: number;
  #dt = 0;

  /** At the start of a span. */
  constructor({ from, to }: Required<Span>, order: number) {
    this.t = from;
    this.#to = to;
    this.#direction = Math.sign(to - from);
    this.#order = order;
  }

  /** Whether it has arrived. */
  get done(): boolean {
    return this.t === this.#to;
  }

  /** Time that is left, in the direction of the end. */
  get left(): number {
    return this.#to - this.t;
  }

  /** Length of the next step, none beyond the end; 0 at the end. */
  get dt(): number {
    return Math.abs(this.#dt) >= Math.abs(this.left) ? this.left : this.#dt;
  }

  /** Sets the length of the first step. */
  begin(length: number): void {
    this.#dt = this.#direction * length;
  }

  /**
   * Takes note of a step that was tried.
   *
   * @returns whether it is accepted
   */
  take(ratio: number): boolean {
    if (this.done) return false;
    const { t, dt } = this;
    const accepted = ratio <= 1;
    this.steps.push({ t, dt, ratio, accepted });
    if (accepted) this.t = dt === this.left ? this.#to : t + dt;
    this.#dt = dt * stepFactor(ratio, this.#order);
    return accepted;
  }

  /** Whether the next step is too short to get anywhere; one to the end never is. */
  get stuck(): boolean {
    const { dt, left } = this;
    return !this.done && dt !== left && !(Math.abs(dt) > 1e-7);
  }
}
