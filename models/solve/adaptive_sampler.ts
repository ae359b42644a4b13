import {
  abs,
  add,
  assign,
  concat,
  divide,
  full,
  gatherRows,
  maximum,
  mean,
  multiply,
  record,
  type RecordedStep,
  reshape,
  scope,
  type Shape,
  slice,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
  UserError,
  zeros,
} from "../../kernels/mod.ts";
import { checkCount, refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { counted, type VelocityField } from "../flow/field.ts";
import { copyOf, innerAxes, perRow } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import {
  checkBatch,
  type OnShare,
  type RunOptions,
  Sampler,
  type SamplerOptions,
  type Snapshot,
  type Solution,
  type TriedStep,
} from "./sampler.ts";
import {
  defaultMaxEvaluations,
  embeddedTableauOf,
  isAdaptive,
  lastMethod,
  toleranceOptions,
} from "./solvers.ts";
import { type ButcherTableau, type EmbeddedTableau, evaluationsPerStep, solverStep } from "./tableau.ts";
import { checkedSpan, type Span } from "./time_grids.ts";

/** x and its slope within a step, as weights of x at both ends, v at both ends, and the correction. */
export type InterpolationWeights = Readonly<Record<"x" | "slope", readonly number[]>>;

/**
 * Dense output within a step: the cubic Hermite interpolant of x and v at both ends, plus the solver's correction s^2
 * (1 - s)^2 dt sum_i dense_i k_i, if it has one. The cubic has error O(dt^4), enough for order 3; with the correction,
 * dopri5 has O(dt^5).
 *
 * @param share s of the step, in [0, 1]; exact at both ends, to the bit
 * @param dt length of the step, not 0; already included in the correction
 * Source: Hairer, Nørsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.6
 */
export function interpolation(share: number, dt: number): InterpolationWeights {
  const [s, r] = [share, 1 - share];
  const fall = s * s * (3 - 2 * s);
  const change = 6 * s * r / dt;
  return {
    x: [1 - fall, fall, dt * s * r * r, -dt * s * s * r, s * s * r * r],
    slope: [-change, change, r * (1 - 3 * s), s * (3 * s - 2), 2 * s * r * (r - s) / dt],
  };
}

/** Where adaptive steps to data end, and the last step begins. */
const lastStart = 0.95;
/** The last step, whose error is not estimated. */
const lastStep: TriedStep = { t: lastStart, dt: 1 - lastStart, ratio: 0, accepted: true };

/** The state of a batch on the device, with recorded steps whose lengths the host chooses. */
export type AdaptiveSteps = ReturnType<typeof adaptiveSteps>;

/** Records adaptive steps of batches of a shape, [N, C, H, W]. */
export function adaptiveSteps(
  tableau: EmbeddedTableau,
  field: VelocityField,
  shape: Shape,
  { rtol, atol, condition }: { rtol: number; atol: number; condition: Tensor | undefined },
) {
  const N = shape[0];
  const [x, v, triedX, triedV] = [0, 0, 0, 0].map(() => zeros(shape));
  const triedDense = tableau.dense && zeros(shape);
  const [t, dt] = [0, 0].map(() => tensor(new Float32Array(N)));
  const rows = tensor(new Uint32Array(N));
  const weights = tensor(new Float32Array(10 * N), [10, N]);
  const norm = (x: Tensor, allowed: Tensor) => sqrt(mean(square(divide(x, allowed)), innerAxes(shape)));
  const allowedAt = (x: Tensor) => add(multiply(abs(x), rtol), atol);
  const start = record(() => {
    assign(v, field.velocity(x, t, condition));
    return concat([norm(x, allowedAt(x)), norm(v, allowedAt(x))], 0);
  });
  const probe = record(() => {
    const ahead = add(x, multiply(v, perRow(dt, x)));
    return norm(subtract(field.velocity(ahead, add(t, dt), condition), v), allowedAt(x));
  });
  const attempt = record(() => {
    const next = solverStep(tableau, field, x, t, dt, { condition, first: v, dense: true });
    assign(triedX, next.x);
    assign(triedV, tableau.firstSameAsLast ? next.last : field.velocity(next.x, add(t, dt), condition));
    if (triedDense) assign(triedDense, next.dense!);
    return norm(next.error!, add(multiply(maximum(abs(x), abs(next.x)), rtol), atol));
  });
  const accept = record(() => {
    // Select, don't blend: a rejected step may contain NaN.
    const pick = (kept: Tensor, tried: Tensor) =>
      assign(kept, reshape(gatherRows(reshape(concat([kept, tried], 0), [2 * N, x.size / N]), rows), shape));
    pick(v, triedV);
    return pick(x, triedX);
  });
  const terms = [x, triedX, v, triedV, ...triedDense ? [triedDense] : []];
  const within = record(() => {
    const weighted = (first: number) =>
      terms.map((value, i) => multiply(value, perRow(slice(weights, 0, first + i, 1), x)))
        .reduce((a, b) => add(a, b));
    return [weighted(0), weighted(5)] as const;
  });
  const runner = (step: RecordedStep<Tensor>) => (from: readonly number[], lengths: readonly number[]) => {
    t.write(Float32Array.from(from));
    dt.write(Float32Array.from(lengths));
    step.run();
    return step.result.read();
  };
  return {
    /** x, f32[N, C, H, W]; assign to it to start over. */
    x,
    /** v(x, t), f32[N, C, H, W]. */
    v,
    /** Starts at x. Returns |x| and |v| relative to the allowed error, f32[2 N]. One evaluation. */
    start: runner(start),
    /** Takes a trial Euler step. Returns the norm of the change of velocity, f32[N]. One evaluation. */
    probe: runner(probe),
    /** Attempts a step. Returns its error relative to the allowed error, f32[N]. */
    attempt: runner(attempt),
    /** Interpolates x and its slope within the attempted step, before `accept`; f32[N, C, H, W] each. */
    within(each: readonly InterpolationWeights[]) {
      const values = new Float32Array(10 * N);
      each.forEach(({ x, slope }, n) => [...x, ...slope].forEach((weight, i) => values[i * N + n] = weight));
      weights.write(values);
      within.run();
      const [state, slope] = within.result;
      return Promise.all([state.read(), slope.read()]);
    },
    /** Advances the samples that accept the attempted step. */
    accept(accepted: readonly boolean[]) {
      rows.write(Uint32Array.from(accepted, (accepted, n) => accepted ? N + n : n));
      accept.run();
    },
  };
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

/** Options of one solve in adaptive steps. */
export interface AdaptiveRunOptions extends RunOptions {
  /** Times of states to interpolate within each sample's own steps, in order from start to end, both allowed. */
  readonly snapshots?: readonly number[];
  /** Called after every attempted step with the progress of the slowest sample. */
  readonly onProgress?: OnShare | undefined;
}

/** Result of an adaptive solver. */
export interface AdaptiveSolution extends Required<Solution> {
  /** The states at the times of `snapshots`. Their velocity is the slope of the interpolation. */
  readonly snapshots: readonly Required<Snapshot>[];
}

/**
 * Solves with adaptive steps: the estimated error of each step stays below `atol + rtol |x|`, as a root mean square
 * over a sample's elements. Each sample has its own steps, so its result does not depend on its batch. A batch is
 * evaluated together until all of its samples are done.
 *
 * Source: Dormand and Prince 1980; step control as in Hairer, Nørsett and Wanner 1993, section II.4
 */
export class AdaptiveSampler {
  readonly #tableau: EmbeddedTableau;
  /** Takes the last step to data, unless it is the tableau itself. */
  readonly #last: ButcherTableau;
  readonly #condition: Tensor | undefined;
  readonly #maxEvaluations: number;
  readonly #field: ReturnType<typeof counted>;
  readonly #steps: AdaptiveSteps;
  #isRunning = false;

  /**
   * Records the steps.
   *
   * @param shape [N, C, H, W] of a batch
   * @param options the default tolerance is 1e-5
   */
  constructor(model: VelocityField, shape: Shape, options: SamplerOptions = {}) {
    const known = ["solver", ...toleranceOptions, "last", "condition"];
    rejectUnknown(options, known, "a sampler with adaptive steps");
    const { solver, condition, maxEvaluations = defaultMaxEvaluations } = options;
    const { rtol = options.atol ?? 1e-5, atol = rtol } = options;
    for (const [name, value] of Object.entries({ rtol, atol })) {
      if (value > 0 && value <= 1) continue;
      refuse(RangeError, `solve: ${name} is ${value}`, "a number above 0, at most 1");
    }
    checkCount("solve", "maxEvaluations", maxEvaluations);
    checkBatch(shape);
    this.#tableau = embeddedTableauOf(solver);
    this.#last = lastMethod(this.#tableau, model, options.last);
    this.#condition = condition;
    this.#maxEvaluations = maxEvaluations;
    this.#field = counted(model);
    this.#steps = adaptiveSteps(this.#tableau, this.#field, shape, { rtol, atol, condition });
  }

  /** Evaluations of the field in all runs so far, each on a whole batch. */
  get evaluations(): number {
    return this.#field.evaluations;
  }

  /**
   * Solves a batch, by default from noise to data. Allows one run at a time, because a run uses the sampler's state.
   *
   * @param x initial state, f32[N, C, H, W]
   *
   * @throws {SolverError} if a step gets too short, or `maxEvaluations` are used up
   * @throws {Error} if another run is in progress
   */
  async solve(
    x: Tensor,
    { snapshots = [], onProgress, row: _, ...given }: AdaptiveRunOptions = {},
  ): Promise<AdaptiveSolution> {
    rejectUnknown(given, ["from", "to"], "a run");
    const span = checkedSpan(given);
    checkSnapshots(snapshots, span);
    const steps = this.#steps;
    checkTensor("solve", "x is", x, steps.x.shape);
    if (this.#isRunning) {
      refuse(Error, "run: another run of this sampler is in progress; await it first, or make another");
    }
    this.#isRunning = true;
    try {
      const before = this.evaluations;
      // To data, the steps end a little before t = 1, and one of the last method follows.
      const endsWithLast = this.#last !== this.#tableau && span.to === 1 && span.from < lastStart;
      const chosen = endsWithLast ? { ...span, to: lastStart } : span;
      const clocks = Array.from({ length: x.shape[0] }, () => new SampleClock(chosen, this.#tableau.order));
      const within = endsWithLast ? snapshots.filter((t) => t <= lastStart) : snapshots;
      const states = snapshotsWithin(steps, within);
      await this.#begin(clocks, x, chosen);
      while (!clocks.every(({ done }) => done)) {
        this.#check(clocks, this.evaluations - before);
        const [t, dt] = [clocks.map(({ t }) => t), clocks.map(({ dt }) => dt)];
        const ratios = await steps.attempt(t, dt);
        const accepted = clocks.map((clock, n) => clock.take(ratios[n]));
        states.take(t, dt, accepted);
        steps.accept(accepted);
        const longest = Math.max(...clocks.map(({ left }) => Math.abs(left)));
        await onProgress?.(1 - longest / Math.abs(span.to - span.from));
      }
      const end = endsWithLast ? this.#takeLast() : copyOf(steps.x);
      const all = [...await states.all()];
      if (within.length < snapshots.length) {
        const line = await lineBetween(steps.x, end);
        all.push(...snapshots.slice(within.length).map(line));
      }
      return {
        x: end,
        evaluations: this.evaluations - before,
        steps: clocks.map(({ steps }) => endsWithLast ? [...steps, lastStep] : steps),
        snapshots: all,
      };
    } finally {
      this.#isRunning = false;
    }
  }

  /** Takes the last step to data. Its first velocity is known. */
  #takeLast(): Tensor {
    const { x, v } = this.#steps;
    const N = [x.shape[0]];
    return scope(() =>
      solverStep(this.#last, this.#field, x, full(N, lastStart), full(N, 1 - lastStart), {
        condition: this.#condition,
        first: v,
      }).x
    );
  }

  /** Computes the initial velocity and each sample's first step. Two evaluations. */
  async #begin(clocks: readonly SampleClock[], x: Tensor, { from, to }: Required<Span>): Promise<void> {
    const N = clocks.length;
    const times = clocks.map(() => from);
    assign(this.#steps.x, x);
    const norms = await this.#steps.start(times, clocks.map(() => 0));
    const guesses = clocks.map((_, n) => Math.min(guessedStep(norms[n], norms[N + n]), Math.abs(to - from)));
    const changes = await this.#steps.probe(times, guesses.map((guess) => Math.sign(to - from) * guess));
    clocks.forEach((clock, n) =>
      clock.begin(refinedStep(guesses[n], norms[N + n], changes[n] / guesses[n], this.#tableau.order))
    );
  }

  /** @throws {SolverError} if a sample's step is too short, or the next attempt would exceed `maxEvaluations` */
  #check(clocks: readonly SampleClock[], evaluations: number): void {
    const stuck = clocks.findIndex((clock) => clock.stuck);
    if (stuck >= 0) {
      const where = `sample ${stuck} beyond t = ${clocks[stuck].t.toFixed(4)}`;
      const hint = "use a larger tolerance, and check that the velocity is finite";
      refuse(SolverError, `solve ${where}: its steps get too short; ${hint}`);
    }
    // An attempt costs one step's evaluations: the first velocity is known, the one at the end is needed.
    if (evaluations + evaluationsPerStep(this.#tableau) <= this.#maxEvaluations) return;
    const { t } = clocks.reduce((a, b) => Math.abs(b.left) > Math.abs(a.left) ? b : a);
    const where = `the slowest sample is at t = ${t.toFixed(4)}`;
    const count = `${this.#maxEvaluations} evaluations`;
    refuse(SolverError, `solve in ${count}: ${where}; use a larger tolerance or maxEvaluations`);
  }
}

/** The states on a straight line from x at `lastStart` to the end at t = 1. */
async function lineBetween(x: Tensor, end: Tensor): Promise<(t: number) => Required<Snapshot>> {
  const [from, to] = await Promise.all([x.read(), end.read()]);
  const velocity = to.map((value, i) => (value - from[i]) / (1 - lastStart));
  return (t) => ({
    t,
    image: t === 1 ? to : from.map((value, i) => value + (t - lastStart) * velocity[i]),
    velocity,
  });
}

/** Makes a sampler: with adaptive steps if the options have a tolerance, else with given steps. */
export function samplerFor(field: VelocityField, shape: Shape, options: SamplerOptions) {
  return new (isAdaptive(options) ? AdaptiveSampler : Sampler)(field, shape, options);
}

/** Placeholder for samples without a snapshot in this step; the result is dropped. */
const unused = interpolation(0, 1);

/** Collects states at given times while every sample of a batch takes its own steps. */
function snapshotsWithin(steps: AdaptiveSteps, times: readonly number[]) {
  const { size, shape: [N] } = steps.x;
  const P = size / N;
  const snapshots = times.map((t) => ({
    t,
    image: new Float32Array(size),
    velocity: new Float32Array(size),
  }));
  /** Snapshots taken so far, per sample. */
  const taken: number[] = Array(N).fill(0);
  const reads: Promise<void>[] = [];
  return {
    /** Takes all snapshots that lie within the accepted steps from t[n] to t[n] + dt[n] of each sample n. */
    take(t: readonly number[], dt: readonly number[], accepted: readonly boolean[]): void {
      for (;;) {
        const shares = taken.map((i, n) => accepted[n] && i < times.length ? (times[i] - t[n]) / dt[n] : NaN);
        if (!shares.some((share) => share <= 1)) return;
        const current = shares.map((share, n) => share <= 1 ? snapshots[taken[n]++] : undefined);
        const weights = shares.map((share, n) => share <= 1 ? interpolation(share, dt[n]) : unused);
        const kept = steps.within(weights).then(([x, slope]) =>
          current.forEach((snapshot, n) => {
            snapshot?.image.set(x.subarray(n * P, (n + 1) * P), n * P);
            snapshot?.velocity.set(slope.subarray(n * P, (n + 1) * P), n * P);
          })
        );
        kept.catch(() => {}); // all() rethrows it, unless the solver fails first
        reads.push(kept);
      }
    },
    /** All snapshots. Call it once every sample has passed all times. */
    async all(): Promise<readonly Required<Snapshot>[]> {
      await Promise.all(reads);
      return snapshots;
    },
  };
}

function checkSnapshots(times: readonly number[], { from, to }: Required<Span>): void {
  const direction = Math.sign(to - from);
  const bad = times.findIndex((t, i) =>
    !(direction * (t - (times[i - 1] ?? from)) >= (i > 0 ? Number.MIN_VALUE : 0) && direction * (to - t) >= 0)
  );
  if (bad < 0) return;
  const expected = `different times in order, from ${from} to ${to}`;
  refuse(RangeError, `solve: snapshot ${bad} is at t = ${times[bad]}`, `${expected}`);
}
