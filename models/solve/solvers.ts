import { type ButcherTableau, defineTableau, type EmbeddedTableau } from "./tableau.ts";

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

/** Bogacki and Shampine 1989: order 3 in three evaluations a step, with an error estimate of order 2. */
export const bosh3: EmbeddedTableau = defineTableau({
  order: 3,
  a: [[], [1 / 2], [0, 3 / 4], [2 / 9, 1 / 3, 4 / 9]],
  b: [2 / 9, 1 / 3, 4 / 9, 0],
  c: [0, 1 / 2, 3 / 4, 1],
  error: [-5 / 72, 1 / 12, 1 / 9, -1 / 8],
});

/**
 * Dormand and Prince 1980: order 5 in six evaluations a step, with an error estimate of order 4, and an interpolation
 * of order 4 by Shampine 1986 as in Hairer, Nørsett and Wanner 1993, section II.6.
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

/** The solvers by name. */
export const solvers = { euler, midpoint, heun, bosh3, rk4, dopri5 } as const;
/** Name of a solver. */
export type SolverName = keyof typeof solvers;

/** Names of the solvers with an error estimate. */
export type AdaptiveSolverName = {
  [Name in SolverName]: (typeof solvers)[Name] extends EmbeddedTableau ? Name : never;
}[SolverName];

/** The solvers with an error estimate, by name: those that can choose their own steps. */
export const adaptiveSolvers = Object.fromEntries(
  Object.entries(solvers).filter(([, { error }]: [string, ButcherTableau]) => error !== undefined),
) as Readonly<Record<AdaptiveSolverName, EmbeddedTableau>>;
