import { add, multiply, type Tensor } from "../../kernels/mod.ts";
import { describeValue, isCount, refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import { perRow } from "../flow/path.ts";

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

/** Checks a tableau. */
export function defineTableau<T extends Tableau>(tableau: T): T & ButcherTableau {
  const { order, a, b, c } = tableau;
  const stages = b.length;
  const fail = (why: string): never => {
    refuse(RangeError, `make a solver: ${why}`);
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
 * @param dt f32[N], the length of each step, negative to go back in time
 */
export function solverStep(
  { a, b, c, error, dense }: ButcherTableau,
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  dt: Tensor,
  { condition, first, dense: wantsDense = false }: StepOptions = {},
): StepResult {
  const N = x.shape.slice(0, 1);
  checkTensor("take a step", "t is", t, N);
  if (first) checkTensor("take a step", "the first velocity is", first, x.shape);
  checkTensor("take a step", "dt is", dt, N);
  const each = perRow(dt, x);
  const k: Tensor[] = first ? [first] : [];
  for (let i = k.length; i < c.length; i++) {
    const y = plus(x, weightedSum(k, a[i], each));
    k.push(velocityOf(field, y, c[i] === 0 ? t : add(t, scaled(dt, c[i])), condition));
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

/** Euler 1768: one evaluation per step. */
export const euler: ButcherTableau = defineTableau({ order: 1, a: [[]], b: [1], c: [0] });

/** Runge 1895: the velocity at the middle of the step. */
export const midpoint: ButcherTableau = defineTableau({
  order: 2,
  a: [[], [1 / 2]],
  b: [0, 1],
  c: [0, 1 / 2],
});

/** Heun 1900: the mean of the velocities at both ends. */
export const heun: ButcherTableau = defineTableau({ order: 2, a: [[], [1]], b: [1 / 2, 1 / 2], c: [0, 1] });

/** Kutta 1901: the classical method of order 4. */
export const rk4: ButcherTableau = defineTableau({
  order: 4,
  a: [[], [1 / 2], [0, 1 / 2], [0, 0, 1]],
  b: [1 / 6, 1 / 3, 1 / 3, 1 / 6],
  c: [0, 1 / 2, 1 / 2, 1],
});

/** Bogacki and Shampine 1989: order 3 with three evaluations per step, and an error estimate of order 2. */
export const bosh3: EmbeddedTableau = defineTableau({
  order: 3,
  a: [[], [1 / 2], [0, 3 / 4], [2 / 9, 1 / 3, 4 / 9]],
  b: [2 / 9, 1 / 3, 4 / 9, 0],
  c: [0, 1 / 2, 3 / 4, 1],
  error: [-5 / 72, 1 / 12, 1 / 9, -1 / 8],
});

/**
 * Dormand and Prince 1980: order 5 with six evaluations per step, an error estimate of order 4, and Shampine's
 * interpolation of order 4 (1986; Hairer, Nørsett and Wanner 1993, section II.6).
 */
export const dopri5: EmbeddedTableau = defineTableau({
  order: 5,
  a: [
    [],
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
  ],
  b: [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
  c: [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1],
  error: [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40],
  dense: [
    -12715105075 / 11282082432,
    0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
  ],
});

/** The Runge-Kutta methods by name. */
export const solvers = { euler, midpoint, heun, bosh3, rk4, dopri5 } as const;

/** Name of a Runge-Kutta method. */
export type SolverName = keyof typeof solvers;

/** Names of the solvers with an error estimate. */
export type AdaptiveSolverName = {
  [Name in SolverName]: (typeof solvers)[Name] extends EmbeddedTableau ? Name : never;
}[SolverName];

/** The solvers with an error estimate, which can choose their own steps, by name. */
export const adaptiveSolvers = Object.fromEntries(
  Object.entries(solvers).filter(([, { error }]: [string, ButcherTableau]) => error !== undefined),
) as Readonly<Record<AdaptiveSolverName, EmbeddedTableau>>;
