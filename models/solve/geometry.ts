import {
  assign,
  concat,
  divide,
  maximum,
  mean,
  multiply,
  reshape,
  scope,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
} from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { CountedField, type VelocityField } from "../flow/field.ts";
import { perRow } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import { copyOf, rungeKuttaSteps } from "./batch_steps.ts";
import { inner } from "./density_field.ts";
import { Sampler, type SamplerOptions } from "./sampler.ts";
import { SampleBatches } from "./solve_flow.ts";
import { tableauOf } from "./solvers.ts";
import { timesOf, timesOptions } from "./time_grids.ts";

/** Options for following flows in batches, in given steps without noise. */
export interface FollowOptions
  extends Omit<SamplerOptions, "rtol" | "atol" | "maxEvaluations" | "noise" | "seed"> {
  /** Largest batch; by default 64. */
  readonly batch?: number;
}

/**
 * The geometry of N trajectories at times t_0, ..., t_K. Norms are Euclidean over all elements of a sample; v_i =
 * v(x(t_i), t_i). Times may decrease, from data to noise.
 */
export interface FlowGeometry {
  /** t_0, ..., t_K. */
  readonly times: readonly number[];
  /** |x(t_K) - x(t_0)| of each sample. */
  readonly distance: Float64Array;
  /** Length of the trajectory, the sum over i of |x(t_i+1) - x(t_i)|. Equals the distance if straight. */
  readonly length: Float64Array;
  /**
   * Integral over t of |u - v(x(t), t)|^2 by the trapezoidal rule, where u = (x(t_K) - x(t_0)) / (t_K - t_0). 0 if the
   * sample moves on a straight line at constant speed.
   *
   * Source: Liu et al. 2022, arXiv:2209.03003, equation 3, before averaging over samples
   */
  readonly straightness: Float64Array;
  /** Sum of the angles between v_i and v_i+1, in radians; 0 where one of them is 0. */
  readonly turning: Float64Array;
  /** |v_i| of each sample, for each of the K + 1 times. */
  readonly speed: readonly Float64Array[];
  /** |u - v_i|^2 of each sample, for each of the K + 1 times. */
  readonly deviation: readonly Float64Array[];
  /**
   * Curvature for each of the K steps: the angle between v_i and v_i+1 divided by |x(t_i+1) - x(t_i)|. 1 / radius on a
   * circle.
   */
  readonly curvature: readonly Float64Array[];
  /** Evaluations of the field per sample. */
  readonly evaluations: number;
}

/** Norm below which a velocity has no direction. */
const smallest = 1e-18;

/**
 * Follows flows and measures their geometry on the device; only a few numbers per sample and step are read back. Needs
 * memory for the velocities at all times.
 *
 * @param x0 state at the first time, f32[N, ...]: noise for times from 0 to 1
 * @throws {RangeError} if `batch` is not a positive integer
 * @throws {ShapeError} if there are no samples, or the condition does not have one row per sample
 * @throws as {@linkcode Sampler}
 */
export async function flowGeometry(
  field: VelocityField,
  x0: Tensor,
  options: FollowOptions = {},
): Promise<FlowGeometry> {
  const { tableau, times, batches } = followed("flowGeometry()", x0, options);
  const counted = new CountedField(batches.field(field));
  let evaluations = 0;
  const tensors = scope(() => {
    const steps = rungeKuttaSteps(tableau, counted, batches.shape, undefined, ({ x, v, nextX, nextV }) => ({
      moved: squaredNorm(subtract(nextX, x)),
      turned: squaredNorm(subtract(direction(nextV), direction(v))),
    }));
    return batches.join(Array.from(batches, (part) => {
      const before = counted.evaluations;
      const found = follow(steps, part.x0, times);
      evaluations = counted.evaluations - before;
      return found;
    }));
  });
  const [[distance], moved, speed, deviation, turned] = await Promise.all(tensors.map(columnsOf));
  const lengths = moved.map(rooted);
  // The chord of unit vectors, 2 sin(angle / 2), is precise for small angles, unlike the cosine.
  const angleOf = (chord: number) => 2 * Math.asin(Math.min(1, chord / 2));
  const angles = turned.map((column, i) =>
    column.map((square, n) => speed[i][n] > 0 && speed[i + 1][n] > 0 ? angleOf(Math.sqrt(square)) : 0)
  );
  const areas = angles.map((_, i) =>
    deviation[i].map((value, n) => Math.abs(times[i + 1] - times[i]) * (value + deviation[i + 1][n]) / 2)
  );
  return {
    times,
    distance: rooted(distance),
    length: totalOf(lengths),
    straightness: totalOf(areas),
    turning: totalOf(angles),
    speed: speed.map(rooted),
    deviation,
    curvature: angles.map((column, i) => column.map((angle, n) => angle === 0 ? 0 : angle / lengths[i][n])),
    evaluations,
  };
}

/** Measures of a step, f32[N, 1] each: |x(t_i+1) - x(t_i)|^2 and |v_i+1 / |v_i+1| - v_i / |v_i||^2. */
type Observed = Readonly<Record<"moved" | "turned", Tensor>>;

/**
 * Follows a batch. Needs memory for K + 1 velocities.
 *
 * @returns |x(t_K) - x(t_0)|^2, f32[N, 1], and columns for each step or time: |x(t_i+1) - x(t_i)|^2, |v_i|^2, |u -
 * v_i|^2 and |v_i+1 / |v_i+1| - v_i / |v_i||^2
 */
function follow(
  steps: ReturnType<typeof rungeKuttaSteps<Observed>>,
  start: Tensor,
  times: readonly number[],
): Tensor[] {
  return scope(() => {
    const [velocities, moved, turned]: Tensor[][] = [[], [], []];
    const [x, v] = steps.state;
    assign(x, start);
    for (let i = 0; i + 1 < times.length; i++) {
      velocities.push(copyOf(steps.take(times, i, i === 0)));
      moved.push(copyOf(steps.seen().moved));
      turned.push(copyOf(steps.seen().turned));
    }
    velocities.push(copyOf(v));
    const change = subtract(x, start);
    const straight = multiply(change, 1 / (times[times.length - 1] - times[0]));
    return [
      squaredNorm(change),
      concat(moved, 1),
      concat(velocities.map(squaredNorm), 1),
      concat(velocities.map((velocity) => squaredNorm(subtract(straight, velocity))), 1),
      concat(turned, 1),
    ];
  });
}

/** Round-trip error of a solver. */
export interface RoundTrip {
  /** Error of each sample after data -> noise -> data, as root mean square over its elements. */
  readonly error: Float32Array;
  /** Evaluations of the field per sample, both ways. */
  readonly evaluations: number;
}

/**
 * Maps data to noise and back, and measures the error sqrt(mean (x - x1)^2) of each sample. The exact flow is
 * invertible, so the error comes from the solver and f32.
 *
 * @param x1 data, f32[N, ...]
 * @param options times from noise to data; the reverse pass runs first
 * @throws as {@linkcode flowGeometry}
 */
export async function roundTrip(
  field: VelocityField,
  x1: Tensor,
  options: FollowOptions = {},
): Promise<RoundTrip> {
  const { tableau, times, batches } = followed("roundTrip()", x1, options);
  let evaluations = 0;
  const [error] = scope(() => {
    const sampler = new Sampler(batches.field(field), batches.shape, { times, solver: tableau });
    return batches.join(Array.from(batches, ({ x0: data }) => {
      const before = sampler.evaluations;
      const lost = subtract(sampler.run(sampler.run(data, { from: 1, to: 0 })), data);
      evaluations = sampler.evaluations - before;
      return [sqrt(mean(square(lost), inner(lost.shape)))];
    }));
  });
  return { error: await error.read(), evaluations };
}

function followed(who: string, x: Tensor, options: FollowOptions) {
  rejectUnknown(options, ["solver", ...timesOptions, "condition", "batch"], who);
  const { batch = 64, condition, solver } = options;
  return {
    tableau: tableauOf(solver),
    times: timesOf(options),
    batches: new SampleBatches(checkTensor("follow the flow", "x is", x), batch, condition),
  };
}

/** |x|^2 of each row, f32[N, 1]. */
function squaredNorm(x: Tensor): Tensor {
  return reshape(sum(square(x), inner(x.shape)), [x.shape[0], 1]);
}

/** v / |v| of each row; 0 for zero velocity. */
function direction(v: Tensor): Tensor {
  return divide(v, perRow(maximum(sqrt(squaredNorm(v)), smallest), v));
}

async function columnsOf(x: Tensor): Promise<Float64Array[]> {
  const [N, K] = x.shape;
  const values = await x.read();
  return Array.from({ length: K }, (_, k) => Float64Array.from({ length: N }, (_, n) => values[n * K + k]));
}

function rooted(squares: Float64Array): Float64Array {
  return squares.map(Math.sqrt);
}

function totalOf(columns: readonly Float64Array[]): Float64Array {
  return columns.reduce((total, column) => total.map((value, n) => value + column[n]));
}
