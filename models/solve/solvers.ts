import { type ButcherTableau, defineTableau } from "./tableau.ts";

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

/** The solvers by name. */
export const solvers = { euler, midpoint, heun, rk4 } as const;
/** Name of a solver. */
export type SolverName = keyof typeof solvers;
