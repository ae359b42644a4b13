import { add, full, multiply, reshape, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import type { ButcherTableau } from "./tableau.ts";

/** Options of a step. */
export interface StepOptions {
  /** Condition of the field, one row per x. */
  readonly condition?: Tensor;
  /** v(x, t) if already known: the `last` of the previous step of a first-same-as-last solver. */
  readonly first?: Tensor;
  /** Whether the correction of the interpolation is wanted, too; by default it is not computed. */
  readonly dense?: boolean;
}

/** Result of a step. */
export interface StepResult {
  /** x at t + dt. */
  readonly x: Tensor;
  /** v(x, t) at the start of the step. */
  readonly v: Tensor;
  /** The velocity of the last stage: v(x, t) at the end of the step if the solver is first-same-as-last. */
  readonly last: Tensor;
  /** Error estimate, same shape as x, if the solver has one. */
  readonly error?: Tensor;
  /** Correction of the solver's own interpolation, same shape as x, if it has one; see `interpolation`. */
  readonly dense?: Tensor;
}

/**
 * One step of dx/dt = v(x, t), from device ops only, so that it can be recorded. With t and dt in tensors, one record
 * serves any times.
 *
 * @param x f32[N, ...]
 * @param t f32[N], the time of each x
 * @param dt length of the step, a number or f32[N]; negative goes back in time. A recorded step fixes a number
 * @throws {TypeError} if the field gives no tensor, or a promise
 * @throws {ShapeError} if the shapes do not match, such as that of a velocity
 * @throws {RangeError} if dt is not finite
 */
export function step(
  { a, b, c, error, dense }: ButcherTableau,
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  dt: number | Tensor,
  { condition, first, dense: interpolated = false }: StepOptions = {},
): StepResult {
  const N = x.shape.slice(0, 1);
  checkTensor("take a step", "t is", t, N);
  if (first) checkTensor("take a step", "the first velocity is", first, x.shape);
  if (typeof dt !== "number") checkTensor("take a step", "dt is", dt, N);
  else if (!Number.isFinite(dt)) {
    throw new RangeError(`Cannot take a step: dt is ${dt} (expected a finite number)`);
  }
  const h = typeof dt === "number" ? full([1], dt) : dt;
  const each = reshape(h, x.shape.map((_, axis) => axis === 0 ? h.size : 1));
  const k: Tensor[] = first ? [first] : [];
  for (let i = k.length; i < c.length; i++) {
    const y = plus(x, sum(k, a[i], each));
    k.push(velocityOf(field, y, c[i] === 0 ? t : add(t, scale(h, c[i])), condition));
  }
  const estimate = error && sum(k, error, each);
  const correction = interpolated && dense ? sum(k, dense, each) : undefined;
  return {
    x: plus(x, sum(k, b, each)),
    v: k[0],
    last: k[k.length - 1],
    ...estimate && { error: estimate },
    ...correction && { dense: correction },
  };
}

/** dt sum_i weights_i k_i; undefined if all weights are 0. */
function sum(k: readonly Tensor[], weights: readonly number[], dt: Tensor): Tensor | undefined {
  const parts = weights.flatMap((weight, i) => weight === 0 ? [] : [multiply(k[i], scale(dt, weight))]);
  return parts.length > 0 ? parts.reduce((a, b) => add(a, b)) : undefined;
}

function plus(x: Tensor, y: Tensor | undefined): Tensor {
  return y ? add(x, y) : x;
}

function scale(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : multiply(x, factor);
}
