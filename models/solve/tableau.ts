import { checkCount, isCount } from "../../kernels/core/checks.ts";

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
  /** Weights of the stages in the step; they sum to 1. */
  readonly b: readonly number[];
  /** Time of each stage, as a share of the step. */
  readonly c: readonly number[];
  /** Weights of the stages in the error estimate, dt sum_i error_i k_i; they sum to 0. */
  readonly error?: readonly number[];
  /**
   * Weights of the stages in the correction of the solver's own interpolation, which is cubic without them; they sum to
   * 0. See `interpolation`.
   */
  readonly dense?: readonly number[];
}

/** A checked tableau and its derived properties. */
export interface ButcherTableau extends Tableau {
  /** Whether the last stage is the velocity at the end of the step, so that the next step can reuse it. */
  readonly firstSameAsLast: boolean;
}

/** A tableau with an error estimate, by which a solver can choose its own steps. */
export interface EmbeddedTableau extends ButcherTableau {
  /** Weights of the stages in the error estimate. */
  readonly error: readonly number[];
}

/** Allows for rounding in sums of fractions. */
const tolerance = 1e-12;

/**
 * Checks a tableau.
 *
 * @throws {RangeError} if it is not explicit, or rows of a do not sum to c, b to 1, or the weights of error or
 * interpolation to 0
 */
export function defineTableau(tableau: Tableau & Pick<EmbeddedTableau, "error">): EmbeddedTableau;
/** Checks a tableau that may have no error estimate. @throws as the other */
export function defineTableau(tableau: Tableau): ButcherTableau;
export function defineTableau(tableau: Tableau): ButcherTableau {
  const { order, a, b, c } = tableau;
  const stages = b.length;
  const fail = (why: string): never => {
    throw new RangeError(`Cannot make a solver: ${why}`);
  };
  const sums = (row: readonly number[], expected: number, what: string) => {
    const total = row.reduce((sum, x) => sum + x, 0);
    if (!(Math.abs(total - expected) <= tolerance)) fail(`${what} sums to ${total} (expected ${expected})`);
  };
  if (!isCount(order, 1)) fail(`its order is ${order} (expected a positive integer)`);
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

/**
 * Evaluations of the field that each step takes; a solver that is first-same-as-last takes one more at the start.
 */
export function evaluationsPerStep({ b, firstSameAsLast }: ButcherTableau): number {
  return firstSameAsLast ? b.length - 1 : b.length;
}

/**
 * Number of evaluations of the field in some steps of a solver.
 *
 * @throws {RangeError} if `steps` is not a whole number
 */
export function evaluations(tableau: ButcherTableau, steps: number): number {
  checkCount("count evaluations", "steps", steps, 0);
  return steps * evaluationsPerStep(tableau) + (tableau.firstSameAsLast ? 1 : 0);
}
