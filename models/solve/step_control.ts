/** How adaptive steps are chosen. Likelihoods have a `tolerance` instead, by default 1e-3. */
export interface StepControlOptions {
  /** Error that is allowed per step, relative to the state; by default 1e-5. */
  readonly rtol?: number;
  /** Error that is allowed per step in any case, in units of the state; by default 1e-5. */
  readonly atol?: number;
}

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

/** The next step aims at a little less than the error allowed. */
const safety = 0.9;
/** Bounds of how much longer or shorter the next step may be. */
const [shortest, longest] = [0.2, 10];

/**
 * The length of the next step, as a multiple of the last one.
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
 * @param d1 norm of v, likewise
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

/** One sample's way through time, in f64. */
export class SampleClock {
  /** Where it is. */
  t: number;
  /** Every step that was tried. */
  readonly steps: TriedStep[] = [];
  readonly #order: number;
  #dt = 0;

  constructor(readonly from: number, readonly to: number, order: number) {
    this.t = from;
    this.#order = order;
  }

  /** Whether it has arrived. */
  get done(): boolean {
    return this.t === this.to;
  }

  /** Length of the next step, none beyond the end; 0 at the end. */
  get dt(): number {
    const left = this.to - this.t;
    return Math.abs(this.#dt) >= Math.abs(left) ? left : this.#dt;
  }

  /** Sets the length of the first step, in the direction of the end. */
  begin(length: number): void {
    this.#dt = Math.sign(this.to - this.from) * length;
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
    if (accepted) this.t = dt === this.to - t ? this.to : t + dt;
    this.#dt = dt * stepFactor(ratio, this.#order);
    return accepted;
  }

  /** Whether the next step is too short to get anywhere; one to the end never is. */
  get stuck(): boolean {
    const { dt } = this;
    return !this.done && dt !== this.to - this.t && !(Math.abs(dt) > 1e-7);
  }
}
