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
import { sameShape } from "../../kernels/core/shape.ts";
import type { VelocityField } from "../flow/field.ts";
import { unknownName } from "../nearest.ts";
import { type SolverName, solvers } from "./solvers.ts";
import { step } from "./step.ts";
import type { ButcherTableau } from "./tableau.ts";
import { checkedTimes, uniformTimes } from "./times.ts";

/** How the flow is solved. */
export interface SamplerOptions {
  /** Equal steps from t = 0 to t = 1; either these or `times`. */
  readonly steps?: number;
  /** Times to solve at, two or more within [0, 1], rising or falling. */
  readonly times?: readonly number[];
  /** Its name, or a tableau of one's own; by default `euler`. */
  readonly solver?: SolverName | ButcherTableau;
  /** Condition of the field, one row for each sample; what is written to it later counts from then on. */
  readonly condition?: Tensor;
}

/** Samples on the way from noise to data, in host memory. */
export interface Snapshot {
  /** In [0, 1]. */
  readonly t: number;
  /** x at t, [N, C, H, W]. */
  readonly image: Float32Array;
  /** v(x, t), [N, C, H, W]; none at the end. */
  readonly velocity?: Float32Array;
}

/** Which part of a trajectory to follow, and how it comes to the host. */
export interface TrajectoryOptions {
  /** The step to begin with, so that x is the state at the time of that number; by default 0. */
  readonly first?: number;
  /**
   * Snapshots that may be under way to the host at once; by default 64, which keeps a GPU busy. With 1 each comes as soon
   * as it is there.
   */
  readonly ahead?: number;
}

/** A trajectory's own memory, which holds its place while the sampler works on another one. */
interface Trajectory {
  readonly x: Tensor;
  /** v(x, t), of a solver whose first velocity is the last one of the step before. */
  readonly v: Tensor | undefined;
}

/**
 * Samples batch after batch of one size: one step of the solver is recorded, then replayed at any times. It uses the
 * weights that the model has when the sampler is made, also if they change later.
 */
export class Sampler {
  /** The times that it solves at. */
  readonly times: readonly number[];
  readonly #x: Tensor;
  readonly #v: Tensor | undefined;
  readonly #t: Tensor;
  readonly #dt: Tensor;
  readonly #step: RecordedStep<Tensor>;
  /** Takes the first velocity of a trajectory, where steps hand theirs on. */
  readonly #first: RecordedStep<Tensor> | undefined;
  /** The trajectory whose values the recorded steps hold. */
  #current: Trajectory | undefined;

  /**
   * Records one step of the solver.
   *
   * @param shape [N, C, H, W] of a batch
   * @throws {RangeError} if `steps` is not a positive integer, or times do not rise or fall within [0, 1]
   * @throws {TypeError} if there is no such solver, or not one of `steps` and `times` is given
   */
  constructor(model: VelocityField, shape: Shape, options: SamplerOptions) {
    const { condition } = options;
    const tableau = tableauOf(options);
    this.times = timesOf(options);
    const x = this.#x = zeros(shape);
    const t = this.#t = tensor(new Float32Array(shape[0]));
    const dt = this.#dt = tensor(new Float32Array(shape[0]));
    if (!tableau.firstSameAsLast) {
      this.#step = record(() => {
        const next = step(tableau, model, x, t, dt, { ...condition && { condition } });
        assign(x, next.x);
        return next.v;
      });
      return;
    }
    const v = this.#v = zeros(shape);
    this.#first = record(() => assign(v, model.velocity(x, t, condition)));
    this.#step = record(() => {
      const next = step(tableau, model, x, t, dt, { ...condition && { condition }, first: v });
      assign(x, next.x);
      return assign(v, next.last);
    });
  }

  /** What sampling in batches of a shape would need, without running it. */
  static plan(model: VelocityField, shape: Shape, options: SamplerOptions): MemoryPlan {
    const tableau = tableauOf(options);
    return planMemory(() => {
      const [t, dt] = [shape[0], shape[0]].map((length) => tensor(new Float32Array(length)));
      return step(tableau, model, zeros(shape), t, dt, options).x;
    });
  }

  /**
   * Follows the flow from noise to data.
   *
   * @param x0 noise, f32[N, C, H, W]
   * @returns data of the same shape
   * @throws {ShapeError} if x0 has another shape than the sampler was made for
   */
  run(x0: Tensor): Tensor {
    checkShape(x0, this.#x);
    this.#put(this.#current);
    this.#current = undefined;
    assign(this.#x, x0);
    for (let i = 0; i + 1 < this.times.length; i++) {
      this.#moveTo(i);
      if (i === 0) this.#first?.run();
      this.#step.run();
    }
    return copyOf(this.#x);
  }

  /**
   * Follows the flow with a snapshot at each of the times from `first` on: from noise, or from any state on the way,
   * which need not be one that the flow would reach by itself. Several trajectories of one sampler may be under way.
   *
   * @param x the state to begin with, f32[N, C, H, W]; noise for `first` 0
   * @returns images and velocities on the host, in order; the last snapshot is the data, without velocity
   * @throws {RangeError} if there is no step `first`, or `ahead` is not a positive integer
   * @throws {ShapeError} if x has another shape than the sampler was made for
   */
  trajectory(
    x: Tensor,
    { first = 0, ahead = 64 }: TrajectoryOptions = {},
  ): AsyncGenerator<Snapshot, void, void> {
    const steps = this.times.length - 1;
    if (!(Number.isInteger(first) && first >= 0 && first < steps)) {
      throw new RangeError(`Cannot sample from step ${first} (expected 0 to ${steps - 1})`);
    }
    if (!(Number.isInteger(ahead) && ahead > 0)) {
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
        this.#take(trajectory);
        this.#moveTo(i);
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
      this.#take(trajectory);
      yield { t: this.times[last], image: await this.#x.read() };
    } finally {
      if (this.#current === trajectory) this.#current = undefined;
    }
  }

  /** Makes the recorded steps work on a trajectory, where it stands. */
  #take(trajectory: Trajectory): void {
    if (this.#current === trajectory) return;
    this.#put(this.#current);
    this.#current = trajectory;
    assign(this.#x, trajectory.x);
    if (trajectory.v) assign(this.#v!, trajectory.v);
  }

  /** Keeps the place of a trajectory. */
  #put(trajectory: Trajectory | undefined): void {
    if (!trajectory) return;
    assign(trajectory.x, this.#x);
    if (trajectory.v) assign(trajectory.v, this.#v!);
  }

  /** Writes when step i begins and how long it is. */
  #moveTo(i: number): void {
    const [t, next] = this.times.slice(i, i + 2);
    this.#t.write(new Float32Array(this.#t.size).fill(t));
    this.#dt.write(new Float32Array(this.#dt.size).fill(next - t));
  }
}

function timesOf({ steps, times }: SamplerOptions): readonly number[] {
  if (times !== undefined && steps === undefined) return checkedTimes(times);
  if (steps !== undefined && times === undefined) return uniformTimes(steps);
  throw new TypeError(`Cannot sample: ${steps === undefined ? "neither" : "both"} of steps and times given`);
}

function tableauOf({ solver = "euler" }: SamplerOptions): ButcherTableau {
  if (typeof solver === "object") return solver;
  if (Object.hasOwn(solvers, solver)) return solvers[solver];
  throw new TypeError(unknownName("solver", solver, Object.keys(solvers)));
}

function checkShape(x: Tensor, own: Tensor): void {
  if (sameShape(x.shape, own.shape)) return;
  throw new ShapeError(`Cannot sample from ${x} (expected ${own}, the shape that the sampler was made for)`);
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
