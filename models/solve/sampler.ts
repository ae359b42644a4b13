import {
  assign,
  record,
  type RecordedStep,
  type Shape,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/flow.ts";
import { unknownName } from "../nearest.ts";
import { type SolverName, solvers, step } from "./solvers.ts";

/** How the flow is solved. */
export interface SamplerOptions {
  /** Equal steps from t = 0 to t = 1. */
  readonly steps: number;
  /** By default `euler`. */
  readonly solver?: SolverName;
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
  /** The step to begin with, so that x is the state at t = first / steps; by default 0. */
  readonly first?: number;
  /**
   * Snapshots that may be under way to the host at once; by default 64, which keeps a GPU busy. With 1 each comes as soon
   * as it is there.
   */
  readonly ahead?: number;
}

/**
 * Samples batch after batch of one size: one step of the solver is recorded, then replayed. It uses the weights that
 * the model has when the sampler is made, also if they change later.
 */
export class Sampler {
  readonly #x: Tensor;
  readonly #t: Tensor;
  readonly #steps: number;
  readonly #step: RecordedStep<Tensor>;

  /**
   * Records one step of the solver.
   *
   * @param shape [N, C, H, W] of a batch
   * @throws {RangeError} if `steps` is no positive integer
   * @throws {TypeError} if there is no such solver
   */
  constructor(model: VelocityField, shape: Shape, { steps, solver = "euler" }: SamplerOptions) {
    if (!(Number.isInteger(steps) && steps > 0)) {
      throw new RangeError(`Cannot sample in ${steps} steps (expected a positive integer)`);
    }
    if (!Object.hasOwn(solvers, solver)) {
      throw new TypeError(unknownName("solver", solver, Object.keys(solvers)));
    }
    const tableau = solvers[solver];
    this.#steps = steps;
    this.#x = zeros(shape);
    this.#t = tensor(new Float32Array(shape[0]));
    this.#step = record(() => {
      const { x, v } = step(tableau, model, this.#x, this.#t, 1 / steps);
      assign(this.#x, x);
      return v;
    });
  }

  /**
   * Follows the flow from noise to data.
   *
   * @param x0 noise, f32[N, C, H, W]
   * @returns data of the same shape, overwritten by the next run
   * @throws {ShapeError} if x0 has another shape than the sampler was made for
   */
  run(x0: Tensor): Tensor {
    assign(this.#x, x0);
    for (let i = 0; i < this.#steps; i++) this.#advance(i);
    return this.#x;
  }

  /**
   * Follows the flow to data with a snapshot of every step, `steps` - `first` + 1 in all: from noise, or from any state on
   * the way, which need not be one that the flow would reach by itself.
   *
   * @param x the state to begin with, f32[N, C, H, W]; noise for `first` 0
   * @returns images and velocities on the host, in order; the last snapshot is the data, without velocity
   * @throws {RangeError} if there is no step `first`, or `ahead` is no positive integer
   * @throws {ShapeError} if x has another shape than the sampler was made for
   */
  trajectory(
    x: Tensor,
    { first = 0, ahead = 64 }: TrajectoryOptions = {},
  ): AsyncGenerator<Snapshot, void, void> {
    if (!(Number.isInteger(first) && first >= 0 && first < this.#steps)) {
      throw new RangeError(`Cannot sample from step ${first} (expected 0 to ${this.#steps - 1})`);
    }
    if (!(Number.isInteger(ahead) && ahead > 0)) {
      throw new RangeError(`Cannot sample with ${ahead} snapshots ahead (expected a positive integer)`);
    }
    return this.#follow(x, first, ahead);
  }

  async *#follow(x: Tensor, first: number, ahead: number): AsyncGenerator<Snapshot, void, void> {
    assign(this.#x, x);
    let open: Promise<Snapshot>[] = [];
    for (let i = first; i < this.#steps; i++) {
      const image = this.#x.read();
      this.#advance(i);
      open.push(snapshot(i / this.#steps, image, this.#step.result.read()));
      if (open.length < ahead) continue;
      yield* await Promise.all(open);
      open = [];
    }
    yield* await Promise.all(open);
    yield { t: 1, image: await this.#x.read() };
  }

  #advance(i: number): void {
    this.#t.write(new Float32Array(this.#t.size).fill(i / this.#steps));
    this.#step.run();
  }
}

async function snapshot(
  t: number,
  image: Promise<Float32Array>,
  velocity: Promise<Float32Array>,
): Promise<Snapshot> {
  const [x, v] = await Promise.all([image, velocity]);
  return { t, image: x, velocity: v };
}
