import {
  add,
  assign,
  concat,
  divide,
  maximum,
  multiply,
  record,
  reshape,
  scope,
  type Shape,
  slice,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
  tensor,
  zeros,
} from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { inner } from "./divergence.ts";
import { step } from "./step.ts";
import type { ButcherTableau } from "./tableau.ts";

/** Numbers of a batch's trajectories at K + 1 times, each column a sample's squared norm. */
export interface FollowedFlow {
  /** |x(t_K) - x(t_0)|^2, f32[N, 1]. */
  readonly distance: Tensor;
  /** |x(t_i+1) - x(t_i)|^2, f32[N, K]. */
  readonly moved: Tensor;
  /** |v_i|^2, f32[N, K + 1]. */
  readonly speed: Tensor;
  /** |(x(t_K) - x(t_0)) / (t_K - t_0) - v_i|^2, f32[N, K + 1]. */
  readonly deviation: Tensor;
  /** |v_i+1 / |v_i+1| - v_i / |v_i||^2, f32[N, K]; v / |v| of no velocity is 0. */
  readonly turned: Tensor;
}

/** Norm below which a velocity has no direction. */
const smallest = 1e-18;

/**
 * Records a step of a solver that reduces what it passes to a few numbers for each sample, on the device.
 *
 * @param shape [N, ...] of a batch
 * @param times K + 1 of them
 * @returns follows the flow from a state at the first time. It keeps K + 1 velocities of the batch in memory meanwhile
 */
export function flowFollower(
  field: VelocityField,
  shape: Shape,
  tableau: ButcherTableau,
  times: readonly number[],
): (start: Tensor) => FollowedFlow {
  const N = shape[0];
  const squaredNorm = (x: Tensor) => reshape(sum(square(x), inner(shape)), [N, 1]);
  const each = (row: Tensor) => reshape(row, shape.map((_, axis) => axis === 0 ? N : 1));
  const direction = (v: Tensor) => divide(v, each(maximum(sqrt(squaredNorm(v)), smallest)));
  const [x, v] = [zeros(shape), zeros(shape)];
  const [t, dt] = [tensor(new Float32Array(N)), tensor(new Float32Array(N))];
  const begin = record(() => assign(v, field.velocity(x, t)));
  const advance = record(() => {
    const next = step(tableau, field, x, t, dt, { first: v });
    const arrived = tableau.firstSameAsLast ? next.last : field.velocity(next.x, add(t, dt));
    const moved = squaredNorm(subtract(next.x, x));
    const turned = squaredNorm(subtract(direction(arrived), direction(v)));
    assign(x, next.x);
    assign(v, arrived);
    return { moved, turned };
  });
  return (start) =>
    scope(() => {
      assign(x, start);
      t.write(new Float32Array(N).fill(times[0]));
      begin.run();
      const velocities = [copyOf(v)];
      const [moved, turned]: [Tensor[], Tensor[]] = [[], []];
      for (let i = 0; i + 1 < times.length; i++) {
        t.write(new Float32Array(N).fill(times[i]));
        dt.write(new Float32Array(N).fill(times[i + 1] - times[i]));
        advance.run();
        velocities.push(copyOf(v));
        moved.push(copyOf(advance.result.moved));
        turned.push(copyOf(advance.result.turned));
      }
      const way = subtract(x, start);
      const straight = multiply(way, 1 / (times[times.length - 1] - times[0]));
      const columns = (parts: readonly Tensor[]) => concat(parts, 1);
      return {
        distance: squaredNorm(way),
        moved: columns(moved),
        speed: columns(velocities.map(squaredNorm)),
        deviation: columns(velocities.map((velocity) => squaredNorm(subtract(straight, velocity)))),
        turned: columns(turned),
      };
    });
}

function copyOf(x: Tensor): Tensor {
  return slice(x, 0, 0, x.shape[0]);
}
