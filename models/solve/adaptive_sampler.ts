import { add, type Shape, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import {
  adaptiveDefaults,
  type AdaptiveOptions,
  type AdaptiveRunOptions,
  type AdaptiveSolution,
  checkLimits,
  checkSnapshots,
  checkSpan,
  embeddedTableau,
  SolverError,
  type Span,
} from "./adaptive_options.ts";
import { AdaptiveSteps } from "./adaptive_steps.ts";
import { AskedSnapshots } from "./asked_snapshots.ts";
import { OneRun } from "./one_run.ts";
import { checkBatch } from "./sampler.ts";
import { guessedStep, refinedStep, SampleClock } from "./step_control.ts";
import { type EmbeddedTableau, evaluationsPerStep } from "./tableau.ts";

/**
 * Solves with adaptive steps, as long as the estimated error allows. Every sample has its own steps, chosen by its own
 * error, so that it does not depend on the others in its batch; the batch is evaluated together until all are done.
 *
 * The estimated error of a step stays below `atol + rtol |x|`, as the root mean square over a sample's elements.
 *
 * Source: Dormand and Prince 1980; step control as in Hairer, Nørsett and Wanner 1993, section II.4
 */
export class AdaptiveSampler {
  readonly #tableau: EmbeddedTableau;
  readonly #span: Required<Span>;
  readonly #maxEvaluations: number;
  readonly #steps: AdaptiveSteps;
  readonly #oneRun = new OneRun();

  /**
   * Records the steps.
   *
   * @param shape [N, C, H, W] of a batch
   * @throws {RangeError} if a tolerance is outside (0, 1], times lie outside [0, 1] or are the same, or the limit of
   * evaluations is not a positive integer
   * @throws {TypeError} if an option or the solver is unknown, the solver has no error estimate, or the field gives no tensor
   * @throws {ShapeError} if the batch is empty, or a velocity does not have its shape
   */
  constructor(model: VelocityField, shape: Shape, options: AdaptiveOptions = {}) {
    const { condition, solver = "dopri5", ...given } = options;
    rejectUnknown(options, ["condition", "solver", ...Object.keys(adaptiveDefaults)], "an adaptive sampler");
    const { rtol, atol, from, to, maxEvaluations } = { ...adaptiveDefaults, ...given };
    this.#tableau = embeddedTableau(solver);
    checkLimits({ rtol, atol, maxEvaluations });
    checkSpan({ from, to });
    checkBatch(shape);
    this.#span = { from, to };
    this.#maxEvaluations = maxEvaluations;
    this.#steps = new AdaptiveSteps(this.#tableau, model, shape, { rtol, atol, condition });
  }

  /** How often the field was evaluated in all runs so far, each time on a whole batch. */
  get evaluations(): number {
    return this.#steps.field.evaluations;
  }

  /**
   * Follows the flow of a batch. One run at a time: it works on the sampler's own state.
   *
   * @param x state to begin with, f32[N, C, H, W]: noise, if the flow is followed from 0
   * @param options times of this run instead of the sampler's, snapshots, and a progress callback
   * @throws {ShapeError} if x does not have the shape of the sampler
   * @throws {RangeError} if times lie outside [0, 1] or are the same, or snapshots are not in order between them
   * @throws {SolverError} if a step gets too short to go on, or the evaluations are used up
   * @throws {Error} if a run is in progress
   */
  run(x: Tensor, options: AdaptiveRunOptions = {}): Promise<AdaptiveSolution> {
    return this.#oneRun.take(() => this.#run(x, options));
  }

  async #run(x: Tensor, options: AdaptiveRunOptions): Promise<AdaptiveSolution> {
    const { snapshots = [], onProgress, ...given } = options;
    rejectUnknown(given, ["from", "to"], "a run");
    const span = { ...this.#span, ...given };
    checkSpan(span);
    checkSnapshots(snapshots, span);
    const steps = this.#steps;
    const [N] = steps.x.shape;
    checkTensor("solve", "x is", x, steps.x.shape);
    const before = this.evaluations;
    const clocks = Array.from({ length: N }, () => new SampleClock(span.from, span.to, this.#tableau.order));
    const asked = new AskedSnapshots(snapshots, N, steps.x.size / N);
    await this.#begin(clocks, x, span);
    while (!clocks.every(({ done }) => done)) {
      this.#check(clocks, this.evaluations - before, span);
      const own = clocks.map(({ t, dt }) => ({ t, dt }));
      const ratios = await steps.attempt(own.map(({ t }) => t), own.map(({ dt }) => dt));
      const accepted = clocks.map((clock, i) => clock.take(ratios[i]));
      asked.take(own.map((step, i) => ({ ...step, accepted: accepted[i] })), (each) => steps.within(each));
      steps.accept(accepted);
      const left = Math.max(...clocks.map(({ t }) => Math.abs(span.to - t)));
      await onProgress?.(1 - left / Math.abs(span.to - span.from));
    }
    return {
      x: add(steps.x, 0),
      evaluations: this.evaluations - before,
      steps: clocks.map(({ steps }) => steps),
      snapshots: await asked.all(),
    };
  }

  /** Computes the first velocity, and a first step for each sample; two evaluations. */
  async #begin(clocks: readonly SampleClock[], x: Tensor, { from, to }: Required<Span>): Promise<void> {
    const N = clocks.length;
    const times = clocks.map(() => from);
    const norms = await this.#steps.start(x, times);
    const guesses = clocks.map((_, i) => Math.min(guessedStep(norms[i], norms[N + i]), Math.abs(to - from)));
    const changes = await this.#steps.probe(times, guesses.map((guess) => Math.sign(to - from) * guess));
    clocks.forEach((clock, i) =>
      clock.begin(refinedStep(guesses[i], norms[N + i], changes[i] / guesses[i], this.#tableau.order))
    );
  }

  /** @throws {SolverError} if a sample cannot go on, or another try would take too many evaluations */
  #check(clocks: readonly SampleClock[], evaluations: number, { to }: Required<Span>): void {
    const reached = () => ({
      t: clocks.map(({ t }) => t),
      evaluations,
      steps: clocks.map(({ steps }) => steps),
    });
    const stuck = clocks.findIndex((clock) => clock.stuck);
    if (stuck >= 0) {
      throw new SolverError(
        `Cannot solve sample ${stuck} beyond t = ${clocks[stuck].t.toFixed(4)}: its steps get too short; ` +
          "use a larger tolerance, and check that the velocity is finite",
        reached(),
      );
    }
    // A try takes as many as a step: the first velocity is known, and that at the end is needed.
    if (evaluations + evaluationsPerStep(this.#tableau) <= this.#maxEvaluations) return;
    const last = clocks.reduce((a, b) => Math.abs(to - b.t) > Math.abs(to - a.t) ? b : a);
    throw new SolverError(
      `Cannot solve in ${this.#maxEvaluations} evaluations: the slowest sample is at t = ${
        last.t.toFixed(4)
      }; use a larger tolerance or maxEvaluations`,
      reached(),
    );
  }
}
