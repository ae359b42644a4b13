import {
  assign,
  type MemoryPlan,
  planMemory,
  record,
  type RecordedStep,
  type Shape,
  ShapeError,
  slice,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import { isCount } from "../../kernels/core/checks.ts";
import { checkedSizeOf, sameShape } from "../../kernels/core/shape.ts";
import type { VelocityField } from "../flow/field.ts";
import { rejectUnknown, unknownName } from "../names.ts";
import { CountedField } from "./counted_field.ts";
import { type SolverName, solvers } from "./solvers.ts";
import { step } from "./step.ts";
import type { ButcherTableau } from "./tableau.ts";
import { timesOf, type TimesOptions, timesOptions } from "./time_grids.ts";

/** Options of the solver. */
export interface SamplerOptions extends TimesOptions {
  /** Name of a solver, or a tableau; by default `euler`. */
  readonly solver?: SolverName | ButcherTableau;
  /** Condition of the field, one row per sample. It may be overwritten between runs. */
  readonly condition?: Tensor;
}

/** Names of the options of a solver. */
export const samplerOptions: readonly string[] = [...timesOptions, "solver", "condition"];

/** The state of samples at a time, in host memory. */
export interface Snapshot {
  /** In [0, 1]. */
  readonly t: number;
  /** x at t, [N, C, H, W]. */
  readonly image: Float32Array;
  /** v(x, t), [N, C, H, W]; absent in the last snapshot. */
  readonly velocity?: Float32Array;
}

/** Options of a trajectory. */
export interface TrajectoryOptions {
  /** The first step; x is the state at `times[first]`. By default 0. */
  readonly first?: number;
  /**
   * Snapshots in flight to the host at once; by default 64, which keeps a GPU busy. With 1, each is yielded as soon as
   * it is computed.
   */
  readonly ahead?: number;
}

/** The state of a trajectory, saved while the sampler works on another one. */
interface Trajectory {
  readonly x: Tensor;
  /** v(x, t), if the solver is first-same-as-last. */
  readonly v: Tensor | undefined;
}

/**
 * Samples in batches of one size. One step of the solver is recorded, then replayed at any times. It follows the
 * tensors that are the model's parameters when the sampler is made, so it sees later training.
 */
export class Sampler {
  /** The times of the solver. */
  readonly times: readonly number[];
  readonly #x: Tensor;
  readonly #v: Tensor | undefined;
  readonly #t: Tensor;
  readonly #dt: Tensor;
  readonly #step: RecordedStep<Tensor>;
  /** Computes the first velocity of a trajectory, if the solver is first-same-as-last. */
  readonly #first: RecordedStep<Tensor> | undefined;
  readonly #field: CountedField;
  /** The trajectory whose state the recorded steps hold. */
  #current: Trajectory | undefined;

  /**
   * Records one step of the solver.
   *
   * @param shape [N, C, H, W] of a batch
   * @throws {RangeError} if `steps` is not a positive integer, or `times` are not monotonic in [0, 1]
   * @throws {TypeError} if an option, the solver or the grid is unknown, not exactly one of `steps` and `times` is given, a grid is
   * given with `times`, or the field gives no tensor
   * @throws {ShapeError} if the batch is empty, or a velocity does not have its shape
   */
  constructor(model: VelocityField, shape: Shape, options: SamplerOptions) {
    rejectUnknown(options, samplerOptions, "a sampler");
    const { condition } = options;
    const tableau = tableauOf(options);
    this.times = timesOf(options);
    checkBatch(shape);
    const field = this.#field = new CountedField(model);
    const x = this.#x = zeros(shape);
    const t = this.#t = tensor(new Float32Array(shape[0]));
    const dt = this.#dt = tensor(new Float32Array(shape[0]));
    if (!tableau.firstSameAsLast) {
      this.#step = record(() => {
        const next = step(tableau, field, x, t, dt, { ...condition && { condition } });
        const v = next.v.storage === x.storage ? copyOf(next.v) : next.v; // x itself, or a view of it, changes
        assign(x, next.x);
        return v;
      });
      return;
    }
    const v = this.#v = zeros(shape);
    this.#first = record(() => assign(v, field.velocity(x, t, condition)));
    this.#step = record(() => {
      const next = step(tableau, field, x, t, dt, { ...condition && { condition }, first: v });
      assign(x, next.x);
      return assign(v, next.last);
    });
  }

  /** How often the field was evaluated so far, each time on a whole batch. */
  get evaluations(): number {
    return this.#field.evaluations;
  }

  /** The memory of sampling in batches of a shape, without running it. */
  static plan(model: VelocityField, shape: Shape, options: SamplerOptions): MemoryPlan {
    const tableau = tableauOf(options);
    checkBatch(shape);
    return planMemory(() => {
      const [t, dt] = [shape[0], shape[0]].map((length) => tensor(new Float32Array(length)));
      return step(tableau, model, zeros(shape), t, dt, options).x;
    });
  }

  /**
   * Integrates the flow from noise to data.
   *
   * @param x0 noise, f32[N, C, H, W]
   * @returns data of the same shape
   * @throws {ShapeError} if x0 does not have the shape of the sampler
   */
  run(x0: Tensor): Tensor {
    checkShape(x0, this.#x);
    this.#save(this.#current);
    this.#current = undefined;
    assign(this.#x, x0);
    for (let i = 0; i + 1 < this.times.length; i++) {
      this.#setTime(i);
      if (i === 0) this.#first?.run();
      this.#step.run();
    }
    return copyOf(this.#x);
  }

  /**
   * Integrates the flow with a snapshot at each time from `first` on, from noise or from any state, even one that the
   * flow would not reach. A sampler can have several trajectories in progress.
   *
   * @param x the initial state, f32[N, C, H, W]; noise if `first` is 0
   * @returns snapshots in host memory, in order; the last one is the data, without velocity
   * @throws {RangeError} if `first` is not a step, or `ahead` is not a positive integer
   * @throws {TypeError} if an option is unknown
   * @throws {ShapeError} if x does not have the shape of the sampler
   */
  trajectory(
    x: Tensor,
    { first = 0, ahead = 64, ...others }: TrajectoryOptions = {},
  ): AsyncGenerator<Snapshot, void, void> {
    rejectUnknown(others, ["first", "ahead"], "a trajectory");
    const steps = this.times.length - 1;
    if (!isCount(first, 0, steps - 1)) {
      throw new RangeError(`Cannot sample from step ${first} (expected 0 to ${steps - 1})`);
    }
    if (!isCount(ahead, 1)) {
      throw new RangeError(`Cannot sample with ${ahead} snapshots ahead (expected a positive integer)`);
    }
    checkShape(x, this.#x);
    const trajectory = { x: copyOf(x), v: this.#v && copyOf(this.#v) };
    return this.#follow(trajectory, first, ahead);
  }

  async *#follow(trajectory: Trajectory, first: number, ahead: number): AsyncGenerator<Snapshot, void, void> {
    const last = this.times.length - 1;
    try {
      let open: Promise<Snapshot>[] = [];
      for (let i = first; i < last; i++) {
        this.#load(trajectory);
        this.#setTime(i);
        if (i === first) this.#first?.run();
        const image = this.#x.read();
        const velocity = this.#v?.read();
        this.#step.run();
        open.push(snapshot(this.times[i], image, velocity ?? this.#step.result.read()));
        if (open.length < ahead) continue;
        yield* await Promise.all(open);
        open = [];
      }
      yield* await Promise.all(open);
      this.#load(trajectory);
      yield { t: this.times[last], image: await this.#x.read() };
    } finally {
      if (this.#current === trajectory) this.#current = undefined;
    }
  }

  /** Loads the state of a trajectory into the recorded steps. */
  #load(trajectory: Trajectory): void {
    if (this.#current === trajectory) return;
    this.#save(this.#current);
    this.#current = trajectory;
    assign(this.#x, trajectory.x);
    if (trajectory.v) assign(this.#v!, trajectory.v);
  }

  /** Saves the state of a trajectory. */
  #save(trajectory: Trajectory | undefined): void {
    if (!trajectory) return;
    assign(trajectory.x, this.#x);
    if (trajectory.v) assign(trajectory.v, this.#v!);
  }

  /** Writes the start and length of step i. */
  #setTime(i: number): void {
    const [t, next] = this.times.slice(i, i + 2);
    this.#t.write(new Float32Array(this.#t.size).fill(t));
    this.#dt.write(new Float32Array(this.#dt.size).fill(next - t));
  }
}

/** The solver that options mean. @throws {TypeError} if it is unknown */
export function tableauOf({ solver = "euler" }: Pick<SamplerOptions, "solver">): ButcherTableau {
  if (typeof solver === "object") return solver;
  if (Object.hasOwn(solvers, solver)) return solvers[solver];
  throw new TypeError(unknownName("solver", solver, Object.keys(solvers)));
}

/** @throws {ShapeError} if a shape is not that of at least one sample */
export function checkBatch(shape: Shape): void {
  checkedSizeOf(shape);
  if (shape.length > 0 && shape[0] > 0) return;
  throw new ShapeError(`Cannot sample a batch of shape [${shape.join(", ")}] (expected at least one sample)`);
}

function checkShape(x: Tensor, own: Tensor): void {
  if (sameShape(x.shape, own.shape)) return;
  throw new ShapeError(`Cannot sample from ${x} (expected ${own}, the shape of the sampler)`);
}

function copyOf(x: Tensor): Tensor {
  return slice(x, 0, 0, x.shape[0]);
}

async function snapshot(
  t: number,
  image: Promise<Float32Array>,
  velocity: Promise<Float32Array>,
): Promise<Snapshot> {
  const [x, v] = await Promise.all([image, velocity]);
  return { t, image: x, velocity: v };
}
