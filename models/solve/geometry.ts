import { scope, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import { Batches } from "./batches.ts";
import { CountedField } from "./counted_field.ts";
import { flowFollower } from "./follow_flow.ts";
import { freshRows, joined } from "./joined.ts";
import { type SamplerOptions, samplerOptions, tableauOf } from "./sampler.ts";
import { timesOf } from "./time_grids.ts";

/** How flows are followed in batches. */
export interface FollowOptions extends SamplerOptions {
  /** Largest batch; by default 64. */
  readonly batch?: number;
}

/**
 * The geometry of N trajectories at times t_0, ..., t_K. Norms are Euclidean over all elements of a sample, and v_i is
 * v(x(t_i), t_i). Times may decrease, from data to noise.
 */
export interface FlowGeometry {
  /** t_0, ..., t_K. */
  readonly times: readonly number[];
  /** |x(t_K) - x(t_0)| of each sample. */
  readonly distance: Float64Array;
  /** Length of the path, the sum over i of |x(t_i+1) - x(t_i)|; it is the distance if the path is straight. */
  readonly length: Float64Array;
  /**
   * The integral over t of |u - v(x(t), t)|^2 by the trapezoidal rule, where u = (x(t_K) - x(t_0)) / (t_K - t_0) is the
   * velocity on the straight line, x1 - x0 from t = 0 to 1; 0 if each sample moves on that line at constant speed.
   *
   * Source: Liu et al. 2022, arXiv:2209.03003, equation 3, whose mean over samples it is
   */
  readonly straightness: Float64Array;
  /**
   * Angle by which the velocity turns in all, in radians: the sum of those between v_i and v_i+1; none from or to rest.
   */
  readonly turning: Float64Array;
  /** |v_i| of each sample, for each of the K + 1 times. */
  readonly speed: readonly Float64Array[];
  /** |u - v_i|^2 of each sample, for each of the K + 1 times. */
  readonly deviation: readonly Float64Array[];
  /**
   * Curvature of the path of each sample, for each of the K steps: the angle between v_i and v_i+1 by the length of the
   * step, |x(t_i+1) - x(t_i)|; 1 / radius on a circle.
   */
  readonly curvature: readonly Float64Array[];
  /** Evaluations of the field for each sample. */
  readonly evaluations: number;
}

/**
 * Follows flows once, and measures their geometry on the device: of each sample and step, a handful of numbers come to
 * the host. Batches keep the velocities of all times in memory.
 *
 * @param x0 state at the first time, f32[N, ...]: noise, if the flow is followed from 0 to 1
 * @throws {RangeError} if `batch` is not a positive integer
 * @throws {ShapeError} if there are no samples, or the condition does not have one row for each
 * @throws as {@linkcode Sampler}
 */
export async function flowGeometry(
  field: VelocityField,
  x0: Tensor,
  options: FollowOptions,
): Promise<FlowGeometry> {
  checkTensor("follow the flow", "x0 is", x0);
  rejectUnknown(options, [...samplerOptions, "batch"], "flowGeometry()");
  const { batch = 64, condition } = options;
  const [tableau, times] = [tableauOf(options), timesOf(options)];
  const batches = new Batches(x0, batch, condition);
  const counted = new CountedField(batches.field(field));
  let evaluations = 0;
  const tensors = scope(() => {
    const follow = flowFollower(counted, batches.shape, tableau, times);
    return joined(Array.from(batches, (part) => {
      const before = counted.evaluations;
      const { distance, moved, speed, deviation, turned } = follow(part.x0);
      evaluations = counted.evaluations - before;
      return [distance, moved, speed, deviation, turned].map((x) => freshRows(x, part));
    }));
  });
  const [distance, moved, speed, deviation, turned] = await Promise.all(tensors.map(columnsOf));
  const lengths = moved.map(rooted);
  const moving = (i: number, n: number) => speed[i][n] > 0 && speed[i + 1][n] > 0;
  // A chord of unit vectors, 2 sin(angle / 2), keeps the digits of small angles, which a cosine does not.
  const angleOf = (chord: number) => 2 * Math.asin(Math.min(1, chord / 2));
  const angles = turned.map((column, i) =>
    column.map((square, n) => moving(i, n) ? angleOf(Math.sqrt(square)) : 0)
  );
  return {
    times,
    distance: rooted(distance[0]),
    length: totalOf(lengths),
    straightness: totalOf(
      angles.map((_, i) =>
        deviation[i].map((value, n) => Math.abs(times[i + 1] - times[i]) * (value + deviation[i + 1][n]) / 2)
      ),
    ),
    turning: totalOf(angles),
    speed: speed.map(rooted),
    deviation,
    curvature: angles.map((column, i) => column.map((angle, n) => angle === 0 ? 0 : angle / lengths[i][n])),
    evaluations,
  };
}

/** The columns of f32[N, K]. */
async function columnsOf(x: Tensor): Promise<Float64Array[]> {
  const [N, K] = x.shape;
  const values = await x.read();
  return Array.from({ length: K }, (_, k) => Float64Array.from({ length: N }, (_, n) => values[n * K + k]));
}

function rooted(squares: Float64Array): Float64Array {
  return squares.map(Math.sqrt);
}

/** The sum of columns, row by row. */
function totalOf(columns: readonly Float64Array[]): Float64Array {
  return columns.reduce((total, column) => total.map((value, n) => value + column[n]));
}
