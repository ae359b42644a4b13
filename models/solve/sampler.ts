import {
  assign,
  type MemoryPlan,
  planMemory,
  type Shape,
  ShapeError,
  slice,
  type Tensor,
  tensor,
  UserError,
  zeros,
} from "../../kernels/mod.ts";
import { checkCount, maxU32, refuse } from "../../kernels/core/checks.ts";
import { checkedSizeOf } from "../../kernels/core/shape.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { counted, type VelocityField } from "../flow/field.ts";
import { copyOf } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import {
  type BatchSteps,
  type FlowSolver,
  flowSolverOf,
  isAdaptive,
  type NoiseOptions,
  noiseOptions,
  type SolverOptions,
  solverTimes,
} from "./solvers.ts";
import { solverStep } from "./tableau.ts";
import { type Span, timesOptions, timesWithin } from "./time_grids.ts";

/** The velocity of a field is NaN or infinite. */
export class NotFiniteError extends UserError {
  /** Name of the error. */
  override name = "NotFiniteError";

  /**
   * Names the value and its time.
   *
   * @param value the first value that is not finite
   * @param t time of the velocity
   */
  constructor(readonly value: number, readonly t: number) {
    super(
      `Cannot solve: the velocity is ${value} at t = ${t} (expected finite numbers; has the network diverged?)`,
    );
  }
}

/** Options of a sampler. */
export interface SamplerOptions extends SolverOptions {
  /** Condition of the field, one row per sample. It may be overwritten between runs. */
  readonly condition?: Tensor | undefined;
}

/** Options of one run. */
export interface RunOptions extends Span {
  /** Index of the first sample, by default 0: with `sde`, sample n gets the same noise in any batch. */
  readonly row?: number;
}

/** Called with the progress, from 0 to 1. Promises are awaited; throw to stop. */
export type OnShare = (share: number) => void | Promise<void>;

/** A step that a solver attempted. */
export interface TriedStep {
  /** Start time. */
  readonly t: number;
  /** Length, negative when going back in time. */
  readonly dt: number;
  /** Estimated error divided by the allowed error; 0 for the last step to data of a network, which estimates none. */
  readonly ratio: number;
  /** Whether the ratio was at most 1. */
  readonly accepted: boolean;
}

/** Result of solving a batch, and its cost. */
export interface Solution {
  /** x at the end, f32[N, ...]. */
  readonly x: Tensor;
  /** Evaluations of the field, each on the whole batch. */
  readonly evaluations: number;
  /** Each sample's steps, accepted and rejected, if adaptive. */
  readonly steps?: readonly (readonly TriedStep[])[];
}

/** Samples at one time, in host memory. */
export interface Snapshot {
  /** In [0, 1]. */
  readonly t: number;
  /** x at t, [N, C, H, W]. */
  readonly image: Float32Array;
  /** v(x, t), [N, C, H, W]; absent in the last snapshot. */
  readonly velocity?: Float32Array;
}

/** A run in progress, with its state if the sampler has switched to another run. */
interface Run extends Required<Pick<RunOptions, "row">> {
  readonly times: readonly number[];
  readonly first: number;
  readonly state: readonly Tensor[];
}

/**
 * Solves batches of one size in given steps, with or without noise. Records one step and replays it at any times. Sees
 * later training of the model.
 *
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createModel, noise, Sampler } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * const sampler = new Sampler(model, [3, 1, 4, 4], { solver: "heun", steps: 2 });
 * for (const seed of [1, 2]) console.log(await sampler.run(noise(seed, [3, 1, 4, 4])).read());
 * console.log(sampler.evaluations); // 8
 * ```
 */
export class Sampler {
  /** Start and end times of the steps, steps + 1 of them. */
  readonly times: readonly number[];
  readonly #field: ReturnType<typeof counted>;
  readonly #solver: FlowSolver;
  readonly #noise: NoiseOptions;
  readonly #steps: BatchSteps;
  #current: Run | undefined;

  /**
   * Records one step of the solver.
   *
   * @param shape [N, C, H, W] of a batch
   */
  constructor(model: VelocityField, shape: Shape, options: SamplerOptions = {}) {
    this.#solver = checkedSolver(options);
    this.#noise = options;
    this.times = solverTimes(options);
    checkBatch(shape);
    this.#field = counted(model);
    this.#steps = this.#solver.record(this.#field, shape, options.condition, options);
    this.#checkTimes(this.times);
  }

  /** Evaluations of the field so far, each on a whole batch. */
  get evaluations(): number {
    return this.#field.evaluations;
  }

  /** Plans the memory for sampling batches of a shape, without running. */
  static plan(model: VelocityField, shape: Shape, options: SamplerOptions = {}): MemoryPlan {
    const { tableau } = checkedSolver(options);
    const { condition } = options;
    checkBatch(shape);
    const times = () => tensor(new Float32Array(shape[0]));
    return planMemory(() => solverStep(tableau, model, zeros(shape), times(), times(), { condition }).x);
  }

  /**
   * Solves a batch, by default from noise to data.
   *
   * @param x initial state, f32[N, C, H, W]
   * @returns the final state, same shape
   */
  run(x: Tensor, options: RunOptions = {}): Tensor {
    const run = this.#begin(x, options);
    try {
      for (let i = 0; i + 1 < run.times.length; i++) this.#take(run, i);
      return copyOf(this.#steps.state[0]);
    } finally {
      this.#current = undefined;
    }
  }

  /**
   * Like `run`, but waits for the device and reports progress. Several runs may be in progress at the same time.
   *
   * @throws {NotFiniteError} if the velocity of the first sample is not finite
   */
  async solve(
    x: Tensor,
    { onProgress, ...options }: RunOptions & { readonly onProgress?: OnShare | undefined } = {},
  ): Promise<Solution> {
    const run = this.#begin(x, options);
    const steps = run.times.length - 1;
    let evaluations = 0;
    let reached: Promise<Float32Array> | undefined;
    try {
      for (let i = 0; i < steps; i++) {
        const before = this.evaluations;
        const velocity = this.#take(run, i);
        evaluations += this.evaluations - before;
        // Wait one step behind, so that the device never idles between steps.
        const queued = slice(velocity, 0, 0, 1).read();
        queued.catch(() => {}); // or it would end the program if the step before it has failed
        checkVelocity(await reached, run.times[i - 1]);
        if (i > 0) await onProgress?.(i / steps);
        reached = queued;
      }
      checkVelocity(await reached, run.times[steps - 1]);
      await onProgress?.(1);
      this.#load(run);
      return { x: copyOf(this.#steps.state[0]), evaluations };
    } finally {
      if (this.#current === run) this.#current = undefined;
    }
  }

  /**
   * Solves with a snapshot at each time from step `first` on, by default 0.
   *
   * @param x the state at `times[first]`, f32[N, C, H, W]
   * @param ahead snapshots to read back together; by default 64, which keeps a GPU busy. 1 yields each without delay
   * @returns snapshots in host memory, in order; the last one is the data, without velocity
   */
  trajectory(
    x: Tensor,
    { first = 0, ahead = 64, ...others }: { readonly first?: number; readonly ahead?: number } = {},
  ): AsyncGenerator<Snapshot, void, void> {
    rejectUnknown(others, ["first", "ahead"], "a trajectory");
    checkCount("follow a trajectory", "first", first, 0, this.times.length - 2);
    checkCount("follow a trajectory", "ahead", ahead);
    return this.#follow(this.#begin(x, {}, first), ahead);
  }

  async *#follow(run: Run, ahead: number): AsyncGenerator<Snapshot, void, void> {
    const last = this.times.length - 1;
    const x = this.#steps.state[0];
    try {
      let open: Promise<Snapshot>[] = [];
      for (let i = run.first; i < last; i++) {
        this.#load(run);
        const reads = [x.read(), this.#take(run, i).read()];
        open.push(Promise.all(reads).then(([image, velocity]) => ({ t: this.times[i], image, velocity })));
        if (open.length < ahead) continue;
        yield* await Promise.all(open);
        open = [];
      }
      yield* await Promise.all(open);
      this.#load(run);
      yield { t: this.times[last], image: await x.read() };
    } finally {
      if (this.#current === run) this.#current = undefined;
    }
  }

  /** A run from x, which is copied, as the run may be suspended. */
  #begin(x: Tensor, { row = 0, ...span }: RunOptions, first = 0): Run {
    rejectUnknown(span, ["from", "to", "row"], "a run");
    checkTensor("sample", "x is", x, this.#steps.state[0].shape);
    checkCount("sample", "row", row, 0, maxU32);
    const times = timesWithin(this.times, span);
    this.#checkTimes(times);
    return { times, first, row, state: [x, ...this.#steps.state.slice(1)].map(copyOf) };
  }

  #checkTimes(times: readonly number[]): void {
    const { forwardOnly, check } = this.#solver;
    const [from, to] = [times[0], times[times.length - 1]];
    if (forwardOnly !== undefined && from > to) {
      const expected = "increasing times, or another solver";
      refuse(TypeError, `go from t = ${from} to ${to} with ${forwardOnly}`, expected);
    }
    check?.(times, this.#noise);
  }

  #take(run: Run, i: number): Tensor {
    this.#load(run);
    return this.#steps.take(run.times, i, i === run.first, run.row);
  }

  /** Switches to a run, and saves the state of the previous one. */
  #load(run: Run): void {
    if (this.#current === run) return;
    const { state } = this.#steps;
    this.#current?.state.forEach((saved, i) => assign(saved, state[i]));
    this.#current = run;
    run.state.forEach((saved, i) => assign(state[i], saved));
  }
}

/** Ends a run whose network has diverged, instead of computing with NaN to the end. */
function checkVelocity(velocity: Float32Array = new Float32Array(), t: number): void {
  const value = velocity.find((value) => !Number.isFinite(value));
  if (value !== undefined) throw new NotFiniteError(value, t);
}

/** The solver of a sampler. */
function checkedSolver(options: SamplerOptions): FlowSolver {
  if (isAdaptive(options)) {
    refuse(TypeError, "use a tolerance with given steps", "no rtol and atol, or an AdaptiveSampler");
  }
  const solver = flowSolverOf(options.solver);
  const { addsNoise, needsMap } = solver;
  const of = addsNoise
    ? "a sampler with noise"
    : needsMap
    ? "a flow map's sampler"
    : "a sampler without noise";
  const own = addsNoise ? noiseOptions : needsMap ? [] : ["last"];
  rejectUnknown(options, ["solver", ...timesOptions, ...own, "condition"], of);
  return solver;
}

/** Refuses a batch without samples. */
export function checkBatch(shape: Shape): void {
  checkedSizeOf(shape);
  if (shape.length > 0 && shape[0] > 0) return;
  refuse(ShapeError, `sample a batch of shape [${shape.join(", ")}]`, "at least one sample");
}
