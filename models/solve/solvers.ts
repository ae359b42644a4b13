import { add, multiply, type Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/flow.ts";

/**
 * An explicit Runge-Kutta method: k_i = v(x + dt sum_j a_ij k_j, t + c_i dt), x + dt sum_i b_i k_i.
 *
 * Source: Butcher 1964, On Runge-Kutta processes of high order
 */
export interface ButcherTableau {
  /** The error after a fixed time falls as dt^order. */
  readonly order: number;
  /** How much of each earlier k goes into the point where the next is taken, a row for each k. */
  readonly a: readonly (readonly number[])[];
  /** Weight of each k in the step; their sum is 1. */
  readonly b: readonly number[];
  /** When each k is taken, as a share of the step. */
  readonly c: readonly number[];
}

/** Euler 1768: one evaluation a step. */
export const euler: ButcherTableau = { order: 1, a: [[]], b: [1], c: [0] };

/** Runge 1895: the velocity at the middle of the step. */
export const midpoint: ButcherTableau = { order: 2, a: [[], [1 / 2]], b: [0, 1], c: [0, 1 / 2] };

/** Heun 1900: the mean of the velocities at both ends. */
export const heun: ButcherTableau = { order: 2, a: [[], [1]], b: [1 / 2, 1 / 2], c: [0, 1] };

/** Kutta 1901: the classical method of order 4. */
export const rk4: ButcherTableau = {
  order: 4,
  a: [[], [1 / 2], [0, 1 / 2], [0, 0, 1]],
  b: [1 / 6, 1 / 3, 1 / 3, 1 / 6],
  c: [0, 1 / 2, 1 / 2, 1],
};

/** The solvers by name. */
export const solvers = { euler, midpoint, heun, rk4 } as const;
/** Name of a solver. */
export type SolverName = keyof typeof solvers;

/**
 * One step of dx/dt = v(x, t) with device ops only, so that it can be recorded: time comes from a tensor.
 *
 * @param x f32[N, ...]
 * @param t f32[N], the time of each x
 * @param dt length of the step; negative goes back in time
 * @returns x at t + dt, and the velocity v(x, t) at the start of the step
 */
export function step(
  { a, b, c }: ButcherTableau,
  field: VelocityField,
  x: Tensor,
  t: Tensor,
  dt: number,
): { x: Tensor; v: Tensor } {
  const k: Tensor[] = [];
  c.forEach((ci, i) => {
    k.push(field.velocity(advance(x, k, a[i], dt), ci === 0 ? t : add(t, ci * dt)));
  });
  return { x: advance(x, k, b, dt), v: k[0] };
}

/** x + dt sum_i weights_i k_i. */
function advance(x: Tensor, k: readonly Tensor[], weights: readonly number[], dt: number): Tensor {
  return weights.reduce((y, weight, i) => weight === 0 ? y : add(y, multiply(k[i], dt * weight)), x);
}
