import { add, full, multiply, reshape, type Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import type { ButcherTableau } from "./tableau.ts";

/** What a step is given besides the state. */
export interface StepOptions {
  /** Condition of the field, one row for each x. */
  readonly condition?: Tensor;
  /** v(x, t), if it is known already: the last velocity of the step before, of a solver that ends with it. */
  readonly first?: Tensor;
}

/** What comes of a step. */
export interface StepResult {
  /** x at t + dt. */
  readonly x: Tensor;
  /** v(x, t) at the start of the step. */
  readonly v: Tensor;
  /** The last velocity that was taken: that at the end of the step, if the solver's first is the same as its last. */
  readonly last: Tensor;
  /** Estimate of the step's error, of the shape of x, if the solver has one. */
  readonly error?: Tensor;
}

/**
 * One step of dx/dt = v(x, t) with device ops only, so that it can be recorded: one record serves any times and lengths
 * that lie in tensors.
 *
 * @param x f32[N, ...]
 * @param t f32[N], the time of each x
 * @param dt length of the step, for all x or f32[N]; negative goes back in time. A number is fixed by a record
 * @throws {ShapeError} if the shapes do not fit
 */
export function step(
  { a, b, c, error }: ButcherTableau,
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  dt: number | Tensor,
  { condition, first }: StepOptions = {},
): StepResult {
  const h = typeof dt === "number" ? full([1], dt) : dt;
  const each = reshape(h, x.shape.map((_, axis) => axis === 0 ? h.size : 1));
  const k: Tensor[] = first ? [first] : [];
  for (let i = k.length; i < c.length; i++) {
    const y = plus(x, sum(k, a[i], each));
    k.push(field.velocity(y, c[i] === 0 ? t : add(t, scale(h, c[i])), condition));
  }
  const estimate = error && sum(k, error, each);
  return {
    x: plus(x, sum(k, b, each)),
    v: k[0],
    last: k[k.length - 1],
    ...estimate && { error: estimate },
  };
}

/** dt sum_i weights_i k_i; undefined for no weights other than 0. */
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
