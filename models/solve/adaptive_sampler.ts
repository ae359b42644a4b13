import {
  abs,
  add,
  assign,
  concat,
  divide,
  gatherRows,
  maximum,
  mean,
  multiply,
  record,
  type RecordedStep,
  reshape,
  type Shape,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import { isCount } from "../../kernels/core/count.ts";
import { checkTensor } from "../../kernels/core/check_tensor.ts";
import { unknownName } from "../nearest.ts";
import { type AdaptiveSolverName, adaptiveSolvers } from "./solvers.ts";
import { checkBatch } from "./sampler.ts";
import { step } from "./step.ts";
import {
  guessedStep,
  refinedStep,
  SampleClock,
  type StepControlOptions,
  type TriedStep,
} from "./step_control.ts";
import type { ButcherTableau } from "./tableau.ts";

/** How the flow is solved. */
export interface AdaptiveOptions extends StepControlOptions {
  /** A solver with an error estimate, by name or as a tableau; by default `dopri5`. */
  readonly solver?: AdaptiveSolverName | ButcherTableau;
  /** Time to begin at; by default 0, noise. */
  readonly from?: number;
  /** Time to end at; by default 1, data. Less than `from` goes back. */
  readonly to?: number;
  /** Most evaluations of the field; by default 1,000. */
  readonly maxEvaluations?: number;
  /** Condition of the field, one row per sample. */
  readonly condition?: Tensor;
}

/** What an adaptive solver found. */
export interface AdaptiveSolution {
  /** x at the end, f32[N, C, H, W]. */
  readonly x: Tensor;
  /** How often the field was evaluated, each time on the whole batch. */
  readonly evaluations: number;
  /** The steps of each sample: where it stepped, and what was rejected. */
  readonly steps: readonly (readonly TriedStep[])[];
}

/** An adaptive solver cannot go on. */
export class SolverError extends Error {
  /** Told from other errors by this name. */
  override name = "SolverError";
}

/**
 * Solves with steps as long as an estimate of their error allows. Every sample has its own steps, chosen by its own
 * error, so that it does not depend on the others in its batch; the batch is evaluated together until all have arrived.
 *
 * The error of a step is allowed to be `atol + rtol |x|`, as the root mean square over a sample's elements.
 *
 * Source: Dormand and Prince 1980; step control as in Hairer, Nørsett and Wanner 1993, section II.4
 */
export class AdaptiveSampler {
  readonly #tableau: ButcherTableau;
  readonly #options: Required<Omit<AdaptiveOptions, "solver" | "condition">>;
  readonly #x: Tensor;
  readonly #v: Tensor;
  readonly #t: Tensor;
  readonly #dt: Tensor;
  readonly #rows: Tensor;
  /** Velocity at x, and the norms of both, f32[2 N]. */
  readonly #start: RecordedStep<Tensor>;
  /** Norm of the change of velocity over a step of Euler's, f32[N]. */
  readonly #probe: RecordedStep<Tensor>;
  /** Tries a step: error by error allowed, f32[N]. */
  readonly #try: RecordedStep<Tensor>;
  /** Goes on with the rows of what was tried. */
  readonly #accept: RecordedStep<Tensor>;

  /**
   * Records the steps.
   *
   * @param shape [N, C, H, W] of a batch
   * @throws {RangeError} if a tolerance is outside (0, 1], times lie outside [0, 1] or are the same, or the limit of
   * evaluations is not a positive integer
   * @throws {TypeError} if the solver is unknown or has no error estimate, or the field gives no tensor
   * @throws {ShapeError} if the batch is empty, or a velocity does not have its shape
   */
  constructor(model: VelocityField, shape: Shape, options: AdaptiveOptions = {}) {
    const { condition, solver = "dopri5", ...given } = options;
    const tableau = this.#tableau = tableauOf(solver);
    this.#options = checked({ rtol: 1e-5, atol: 1e-5, from: 0, to: 1, maxEvaluations: 1000, ...given });
    const { rtol, atol } = this.#options;
    checkBatch(shape);
    const N = shape[0];
    const P = shape.reduce((product, length) => product * length, 1) / N;
    const x = this.#x = zeros(shape);
    const v = this.#v = zeros(shape);
    const t = this.#t = tensor(new Float32Array(N));
    const dt = this.#dt = tensor(new Float32Array(N));
    const rows = this.#rows = tensor(new Uint32Array(N));
    const axes = shape.map((_, axis) => axis).slice(1);
    const norm = (x: Tensor, allowed: Tensor) => sqrt(mean(square(divide(x, allowed)), axes));
    const allowedAt = (x: Tensor) => add(multiply(abs(x), rtol), atol);
    const each = (t: Tensor) => reshape(t, shape.map((_, axis) => axis === 0 ? N : 1));
    this.#start = record(() => {
      assign(v, velocityOf(model, x, t, condition));
      return concat([norm(x, allowedAt(x)), norm(v, allowedAt(x))], 0);
    });
    this.#probe = record(() => {
      const ahead = add(x, multiply(v, each(dt)));
      return norm(subtract(velocityOf(model, ahead, add(t, dt), condition), v), allowedAt(x));
    });
    const tried = { x: zeros(shape), v: zeros(shape) };
    this.#try = record(() => {
      const next = step(tableau, model, x, t, dt, { ...condition && { condition }, first: v });
      assign(tried.x, next.x);
      assign(tried.v, tableau.firstSameAsLast ? next.last : velocityOf(model, next.x, add(t, dt), condition));
      return norm(next.error!, add(multiply(maximum(abs(x), abs(next.x)), rtol), atol));
    });
    this.#accept = record(() => {
      // Picked, not blended: a rejected step may hold NaN.
      const pick = (kept: Tensor, tried: Tensor) =>
        assign(kept, reshape(gatherRows(reshape(concat([kept, tried], 0), [2 * N, P]), rows), shape));
      pick(v, tried.v);
      return pick(x, tried.x);
    });
  }

  /**
   * Follows the flow of a batch.
   *
   * @param x state to begin with, f32[N, C, H, W]: noise, if the flow is followed from 0
   * @throws {ShapeError} if x does not have the shape of the sampler
   * @throws {SolverError} if a step gets too short to go on, or the evaluations are used up
   */
  async run(x: Tensor): Promise<AdaptiveSolution> {
    const { from, to, maxEvaluations } = this.#options;
    const N = this.#x.shape[0];
    const order = this.#tableau.order;
    const clocks = Array.from({ length: N }, () => new SampleClock(from, to, order));
    assign(this.#x, checkTensor("solve", "x is", x, this.#x.shape));
    await this.#begin(clocks);
    const perTry = this.#tableau.b.length - (this.#tableau.firstSameAsLast ? 1 : 0);
    let evaluations = 2;
    while (!clocks.every(({ done }) => done)) {
      const stuck = clocks.findIndex((clock) => clock.stuck);
      if (stuck >= 0) {
        throw new SolverError(
          `Cannot solve sample ${stuck} beyond t = ${clocks[stuck].t.toFixed(4)}: its steps get too short; ` +
            "use a larger tolerance, and check that the velocity is finite",
        );
      }
      if (evaluations + perTry > maxEvaluations) {
        const last = clocks.reduce((a, b) => Math.abs(to - b.t) > Math.abs(to - a.t) ? b : a);
        throw new SolverError(
          `Cannot solve in ${maxEvaluations} evaluations: the slowest sample is at t = ${
            last.t.toFixed(4)
          }; ` +
            "use a larger tolerance or maxEvaluations",
        );
      }
      this.#write(clocks.map(({ t }) => t), clocks.map(({ dt }) => dt));
      this.#try.run();
      evaluations += perTry;
      const ratios = await this.#try.result.read();
      this.#rows.write(Uint32Array.from(clocks, (clock, i) => clock.take(ratios[i]) ? N + i : i));
      this.#accept.run();
    }
    return { x: add(this.#x, 0), evaluations, steps: clocks.map(({ steps }) => steps) };
  }

  /** Computes the first velocity, and a first step for each sample; two evaluations. */
  async #begin(clocks: readonly SampleClock[]): Promise<void> {
    const { from, to } = this.#options;
    const N = clocks.length;
    const times = clocks.map(() => from);
    this.#write(times, clocks.map(() => 0));
    this.#start.run();
    const norms = await this.#start.result.read();
    const guesses = clocks.map((_, i) => Math.min(guessedStep(norms[i], norms[N + i]), Math.abs(to - from)));
    this.#write(times, guesses.map((guess) => Math.sign(to - from) * guess));
    this.#probe.run();
    const changes = await this.#probe.result.read();
    clocks.forEach((clock, i) =>
      clock.begin(refinedStep(guesses[i], norms[N + i], changes[i] / guesses[i], this.#tableau.order))
    );
  }

  #write(t: readonly number[], dt: readonly number[]): void {
    this.#t.write(Float32Array.from(t));
    this.#dt.write(Float32Array.from(dt));
  }
}

function tableauOf(solver: AdaptiveSolverName | ButcherTableau): ButcherTableau {
  if (typeof solver === "object") {
    if (solver.error) return solver;
    throw new TypeError("Cannot adapt the steps of a solver without an error estimate (expected `error`)");
  }
  if (Object.hasOwn(adaptiveSolvers, solver)) return adaptiveSolvers[solver];
  throw new TypeError(unknownName("adaptive solver", solver, Object.keys(adaptiveSolvers)));
}

function checked<T extends { rtol: number; atol: number; from: number; to: number; maxEvaluations: number }>(
  options: T,
): T {
  const fail = (name: string, value: number, expected: string): never => {
    throw new RangeError(`Cannot solve: ${name} is ${value} (expected ${expected})`);
  };
  for (const name of ["rtol", "atol"] as const) {
    if (!(options[name] > 0 && options[name] <= 1)) fail(name, options[name], "a number above 0, at most 1");
  }
  for (const name of ["from", "to"] as const) {
    if (!(options[name] >= 0 && options[name] <= 1)) fail(name, options[name], "a time in [0, 1]");
  }
  if (options.from === options.to) fail("to", options.to, "another time than `from`");
  const { maxEvaluations } = options;
  if (!isCount(maxEvaluations, 1)) {
    fail("maxEvaluations", maxEvaluations, "a positive integer");
  }
  return options;
}
