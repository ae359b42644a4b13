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
  tensor,
} from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { copyOf, innerAxes, perRow } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import { type BatchOptions, SampleBatches, solveFlow } from "./sample.ts";
import type { SamplerOptions } from "./sampler.ts";
import { type BatchSteps, flowSolverOf, rungeKutta } from "./solvers.ts";
import { type ButcherTableau, defineTableau, evaluationsPerStep } from "./tableau.ts";
import { timesOf, type TimesOptions, timesOptions } from "./time_grids.ts";

/** Options for following flows in given steps without noise; the largest batch is 64 by default. */
export type FollowOptions =
  & Pick<SamplerOptions, "solver" | "condition" | keyof TimesOptions>
  & Pick<BatchOptions, "batch">;

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
   * For each of the K steps: the angle between v_i and v_i+1, divided by |x(t_i+1) - x(t_i)|; 1 / radius on a circle.
   */
  readonly curvature: readonly Float64Array[];
  /** Evaluations of the field per sample. */
  readonly evaluations: number;
}

const followOptions = ["solver", ...timesOptions, "condition", "batch"];

/** Norm below which a velocity has no direction. */
const smallest = 1e-18;

/**
 * Follows flows and measures their geometry on the device. Needs memory for states and velocities at all times.
 *
 * @param x0 state at the first time, f32[N, ...]: noise for times from 0 to 1
 */
export async function flowGeometry(
  field: VelocityField,
  x0: Tensor,
  options: FollowOptions = {},
): Promise<FlowGeometry> {
  rejectUnknown(options, followOptions, "flowGeometry()");
  const { batch = 64, condition, solver } = options;
  const { tableau: own, forwardOnly } = flowSolverOf(solver);
  if (forwardOnly !== undefined) {
    refuse(TypeError, `follow the flow with ${forwardOnly}`, "a Runge-Kutta method, such as heun");
  }
  const tableau = withEndVelocity(own);
  const times = timesOf(options);
  const batches = new SampleBatches(checkTensor("follow the flow", "x is", x0), batch, condition);
  const tensors = scope(() => {
    const steps = rungeKutta(tableau).record(batches.field(field), batches.shape, undefined, {
      last: tableau,
    });
    return batches.join(Array.from(batches, (part) => follow(steps, part.x0, times)));
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
    evaluations: evaluationsPerStep(tableau) * (times.length - 1) + 1,
  };
}

/** The same method with one more stage, the velocity at the end of the step, which the next step reuses. */
function withEndVelocity(tableau: ButcherTableau): ButcherTableau {
  const { order, a, b, c, firstSameAsLast } = tableau;
  return firstSameAsLast ? tableau : defineTableau({ order, a: [...a, b], b: [...b, 0], c: [...c, 1] });
}

/**
 * Follows a batch in steps that keep the velocity at their ends.
 *
 * @returns |x(t_K) - x(t_0)|^2, f32[N, 1], and columns for each step or time: |x(t_i+1) - x(t_i)|^2, |v_i|^2, |u -
 * v_i|^2 and |v_i+1 / |v_i+1| - v_i / |v_i||^2
 */
function follow({ state: [x, v], take }: BatchSteps, start: Tensor, times: readonly number[]): Tensor[] {
  return scope(() => {
    assign(x, start);
    const states = [start];
    const velocities: Tensor[] = [];
    for (let i = 0; i + 1 < times.length; i++) {
      velocities.push(copyOf(take(times, i, i === 0)));
      states.push(copyOf(x));
    }
    velocities.push(copyOf(v));
    const change = subtract(x, start);
    const straight = multiply(change, 1 / (times[times.length - 1] - times[0]));
    const deviations = velocities.map((velocity) => subtract(straight, velocity));
    const columns = (values: Tensor[]) => concat(values.map(squaredNorm), 1);
    return [
      squaredNorm(change),
      columns(differences(states)),
      columns(velocities),
      columns(deviations),
      columns(differences(velocities.map(direction))),
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
 */
export async function roundTrip(
  field: VelocityField,
  x1: Tensor,
  options: FollowOptions = {},
): Promise<RoundTrip> {
  rejectUnknown(options, followOptions, "roundTrip()");
  const how = { batch: 64, ...options };
  const there = await solveFlow(field, x1, { ...how, from: 1, to: 0 });
  const last = flowSolverOf(options.solver).tableau; // the same method both ways
  const back = await solveFlow(field, tensor(there.samples, x1.shape), { ...how, last });
  const error = scope(() => {
    const lost = subtract(tensor(back.samples, x1.shape), x1);
    return sqrt(mean(square(lost), innerAxes(lost.shape)));
  });
  return { error: await error.read(), evaluations: there.evaluations + back.evaluations };
}

/** x_i+1 - x_i for all neighbours. */
function differences(x: readonly Tensor[]): Tensor[] {
  return x.slice(1).map((next, i) => subtract(next, x[i]));
}

/** |x|^2 of each row, f32[N, 1]. */
function squaredNorm(x: Tensor): Tensor {
  return reshape(sum(square(x), innerAxes(x.shape)), [x.shape[0], 1]);
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
