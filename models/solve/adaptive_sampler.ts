import { assign, type Shape, type Tensor } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { CountedField, type VelocityField } from "../flow/field.ts";
import { copyOf } from "../flow/rows.ts";
import { rejectUnknown } from "../names.ts";
import { type AdaptiveSteps, adaptiveSteps, interpolation } from "./adaptive_steps.ts";
import {
  checkBatch,
  type OnShare,
  type RunOptions,
  Sampler,
  type SamplerOptions,
  type Snapshot,
  type Solution,
} from "./sampler.ts";
import { embeddedTableauOf } from "./solvers.ts";
import {
  defaultMaxEvaluations,
  guessedStep,
  isAdaptive,
  refinedStep,
  SampleClock,
  SolverError,
  toleranceOptions,
} from "./step_control.ts";
import { type EmbeddedTableau, evaluationsPerStep } from "./tableau.ts";
import { checkedSpan, type Span } from "./time_grids.ts";

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
  readonly #maxEvaluations: number;
  readonly #field: CountedField;
  readonly #steps: AdaptiveSteps;
  #isRunning = false;

  /**
   * Records the steps.
   *
   * @param shape [N, C, H, W] of a batch
   * @param options the default tolerance is 1e-5
   * @throws {RangeError} if a tolerance is outside (0, 1], or `maxEvaluations` is not a positive integer
   * @throws {TypeError} if an option is unknown, or the solver has no error estimate
   * @throws {ShapeError} if the batch is empty, or a velocity does not have its shape
   */
  constructor(model: VelocityField, shape: Shape, options: SamplerOptions = {}) {
    rejectUnknown(options, ["solver", ...toleranceOptions, "condition"], "a sampler with adaptive steps");
    const { solver, condition, maxEvaluations = defaultMaxEvaluations } = options;
    const { rtol = options.atol ?? 1e-5, atol = rtol } = options;
    for (const [name, value] of Object.entries({ rtol, atol })) {
      if (value > 0 && value <= 1) continue;
      throw new RangeError(`Cannot solve: ${name} is ${value} (expected a number above 0, at most 1)`);
    }
    checkCount("solve", "maxEvaluations", maxEvaluations);
    checkBatch(shape);
    this.#tableau = embeddedTableauOf(solver);
    this.#maxEvaluations = maxEvaluations;
    this.#field = new CountedField(model);
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
   * @throws {ShapeError} if x does not have the shape of the sampler
   * @throws {RangeError} if `from` and `to` are equal or outside [0, 1], or snapshots are not in order between them
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
      throw new Error(
        "Cannot run: another run of this sampler is in progress; await it first, or make another sampler",
      );
    }
    this.#isRunning = true;
    try {
      const before = this.evaluations;
      const clocks = Array.from({ length: x.shape[0] }, () => new SampleClock(span, this.#tableau.order));
      const states = snapshotsWithin(steps, snapshots);
      await this.#begin(clocks, x, span);
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
      return {
        x: copyOf(steps.x),
        evaluations: this.evaluations - before,
        steps: clocks.map(({ steps }) => steps),
        snapshots: await states.all(),
      };
    } finally {
      this.#isRunning = false;
    }
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
      throw new SolverError(
        `Cannot solve sample ${stuck} beyond t = ${clocks[stuck].t.toFixed(4)}: its steps get too short; ` +
          "use a larger tolerance, and check that the velocity is finite",
      );
    }
    // An attempt costs one step's evaluations: the first velocity is known, the one at the end is needed.
    if (evaluations + evaluationsPerStep(this.#tableau) <= this.#maxEvaluations) return;
    const { t } = clocks.reduce((a, b) => Math.abs(b.left) > Math.abs(a.left) ? b : a);
    throw new SolverError(
      `Cannot solve in ${this.#maxEvaluations} evaluations: the slowest sample is at t = ${t.toFixed(4)}; ` +
        "use a larger tolerance or maxEvaluations",
    );
  }
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

/** @throws {RangeError} naming the first time that is outside the span or out of order */
function checkSnapshots(times: readonly number[], { from, to }: Required<Span>): void {
  const direction = Math.sign(to - from);
  const bad = times.findIndex((t, i) =>
    !(direction * (t - (times[i - 1] ?? from)) >= (i > 0 ? Number.MIN_VALUE : 0) && direction * (to - t) >= 0)
  );
  if (bad < 0) return;
  const expected = `different times in order, from ${from} to ${to}`;
  throw new RangeError(`Cannot solve: snapshot ${bad} is at t = ${times[bad]} (expected ${expected})`);
}
