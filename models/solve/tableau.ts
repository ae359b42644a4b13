import { add, full, multiply, type Tensor } from "../../kernels/mod.ts";
import { describeValue, isCount } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import { perRow } from "../flow/rows.ts";

/**
 * An explicit Runge-Kutta method: k_i = v(x + dt sum_j a_ij k_j, t + c_i dt), x + dt sum_i b_i k_i.
 *
 * Source: Butcher 1964, On Runge-Kutta processes of high order
 */
export interface Tableau {
  /** The global error is O(dt^order). */
  readonly order: number;
  /** Weights of the earlier stages, one row per stage. */
  readonly a: readonly (readonly number[])[];
  /** Weights of the stages in the result; they sum to 1. */
  readonly b: readonly number[];
  /** Time of each stage, as a share of the step. */
  readonly c: readonly number[];
  /** Weights of the stages in the error estimate, dt sum_i error_i k_i; they sum to 0. */
  readonly error?: readonly number[];
  /** Weights of the stages in the correction to the cubic interpolation within a step; they sum to 0. */
  readonly dense?: readonly number[];
}

/** A checked tableau. */
export interface ButcherTableau extends Tableau {
  /** Whether the last stage is the velocity at the end of the step, so that the next step can reuse it. */
  readonly firstSameAsLast: boolean;
}

/** A tableau with an error estimate, for adaptive steps. */
export interface EmbeddedTableau extends ButcherTableau {
  /** Weights of the stages in the error estimate. */
  readonly error: readonly number[];
}

/** Allows for rounding in sums of fractions. */
const tolerance = 1e-12;

/**
 * Checks a tableau.
 *
 * @throws {RangeError} if it is not explicit, rows of a do not sum to c, b does not sum to 1, or `error` or `dense`
 * does not sum to 0
 */
export function defineTableau<T extends Tableau>(tableau: T): T & ButcherTableau {
  const { order, a, b, c } = tableau;
  const stages = b.length;
  const fail = (why: string): never => {
    throw new RangeError(`Cannot make a solver: ${why}`);
  };
  const sums = (row: readonly number[], expected: number, what: string) => {
    const total = row.reduce((sum, x) => sum + x, 0);
    if (!(Math.abs(total - expected) <= tolerance)) fail(`${what} sums to ${total} (expected ${expected})`);
  };
  if (!isCount(order, 1)) fail(`its order is ${describeValue(order)} (expected a positive integer)`);
  if (a.length !== stages || c.length !== stages) {
    fail(`a has ${a.length} rows and c ${c.length} values (expected ${stages}, the length of b)`);
  }
  a.forEach((row, i) => {
    if (row.length > i) {
      fail(`row ${i} of a has ${row.length} values (expected at most ${i} in an explicit method)`);
    }
    sums(row, c[i], `row ${i} of a`);
  });
  sums(b, 1, "b");
  for (const name of ["error", "dense"] as const) {
    const weights = tableau[name];
    if (!weights) continue;
    if (weights.length !== stages) {
      fail(`${name} has ${weights.length} values (expected ${stages}, the length of b)`);
    }
    sums(weights, 0, name);
  }
  const last = a[stages - 1];
  const firstSameAsLast = stages > 1 && c[stages - 1] === 1 &&
    b.every((weight, i) => weight === (last[i] ?? 0));
  return { ...tableau, firstSameAsLast };
}

/** Evaluations of the field per step; a first-same-as-last solver needs one more at the start. */
export function evaluationsPerStep({ b, firstSameAsLast }: ButcherTableau): number {
  return firstSameAsLast ? b.length - 1 : b.length;
}

/** Options of a step. */
export interface StepOptions {
  /** Condition of the field, one row per x. */
  readonly condition?: Tensor | undefined;
  /** v(x, t) if already known: `last` of the previous step, for a first-same-as-last solver. */
  readonly first?: Tensor;
  /** Whether to compute the correction to the cubic interpolation, if the solver has one; by default false. */
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
  readonly error: Tensor | undefined;
  /** Correction to the cubic interpolation, same shape as x, if requested. */
  readonly dense: Tensor | undefined;
}

/**
 * One step of dx/dt = v(x, t), using only device ops, so that it can be recorded.
 *
 * @param x f32[N, ...]
 * @param t f32[N], the time of each x
 * @param dt length of the step, negative to go back in time: f32[N], or a number, which stays fixed in a recorded step
 * @throws {TypeError} if the field does not return a tensor
 * @throws {ShapeError} if the shapes do not match
 * @throws {RangeError} if dt is not finite
 */
export function solverStep(
  { a, b, c, error, dense }: ButcherTableau,
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  dt: number | Tensor,
  { condition, first, dense: wantsDense = false }: StepOptions = {},
): StepResult {
  const N = x.shape.slice(0, 1);
  checkTensor("take a step", "t is", t, N);
  if (first) checkTensor("take a step", "the first velocity is", first, x.shape);
  if (typeof dt !== "number") checkTensor("take a step", "dt is", dt, N);
  else if (!Number.isFinite(dt)) {
    throw new RangeError(`Cannot take a step: dt is ${dt} (expected a finite number)`);
  }
  const h = typeof dt === "number" ? full(N, dt) : dt;
  const each = perRow(h, x);
  const k: Tensor[] = first ? [first] : [];
  for (let i = k.length; i < c.length; i++) {
    const y = plus(x, weightedSum(k, a[i], each));
    k.push(velocityOf(field, y, c[i] === 0 ? t : add(t, scaled(h, c[i])), condition));
  }
  return {
    x: plus(x, weightedSum(k, b, each)),
    v: k[0],
    last: k[k.length - 1],
    error: error && weightedSum(k, error, each),
    dense: wantsDense && dense ? weightedSum(k, dense, each) : undefined,
  };
}

/** dt sum_i weights_i k_i; undefined if all weights are 0. */
function weightedSum(k: readonly Tensor[], weights: readonly number[], dt: Tensor): Tensor | undefined {
  const parts = weights.flatMap((weight, i) => weight === 0 ? [] : [multiply(k[i], scaled(dt, weight))]);
  return parts.length > 0 ? parts.reduce((a, b) => add(a, b)) : undefined;
}

function plus(x: Tensor, y: Tensor | undefined): Tensor {
  return y ? add(x, y) : x;
}

function scaled(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : multiply(x, factor);
}
