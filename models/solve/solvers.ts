import { unknownName } from "../names.ts";
import { type ButcherTableau, defineTableau, type EmbeddedTableau, evaluationsPerStep } from "./tableau.ts";
import { timesOf, type TimesOptions, timesOptions } from "./time_grids.ts";

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

/** The solvers by name. */
export const solvers = { euler, midpoint, heun, bosh3, rk4, dopri5 } as const;

/** Name of a solver. */
export type SolverName = keyof typeof solvers;

/** Names of the solvers with an error estimate. */
export type AdaptiveSolverName = {
  [Name in SolverName]: (typeof solvers)[Name] extends EmbeddedTableau ? Name : never;
}[SolverName];

/** The solvers with an error estimate, which can choose their own steps, by name. */
export const adaptiveSolvers = Object.fromEntries(
  Object.entries(solvers).filter(([, { error }]: [string, ButcherTableau]) => error !== undefined),
) as Readonly<Record<AdaptiveSolverName, EmbeddedTableau>>;

/** Name of a solver, `sde` for the stochastic one, or `map` for the steps of a flow map. */
export type FlowSolverName = SolverName | "sde" | "map";

/**
 * How to solve a flow: in given steps, `{ solver: "heun", steps: 20 }`, the default; in steps that each sample chooses,
 * `{ solver: "dopri5", rtol: 1e-3 }`; with noise, `{ solver: "sde", steps: 100, noise: 1 }`; or by a flow map,
 * `{ solver: "map", steps: 1 }`, its default.
 */
export interface SolverOptions extends TimesOptions {
  /** Name or tableau of the solver; by default `heun`, or `dopri5` with a tolerance. */
  readonly solver?: FlowSolverName | ButcherTableau;
  /** Relative error allowed per step, in (0, 1]; by default `atol`. A tolerance makes the steps adaptive. */
  readonly rtol?: number;
  /** Absolute error allowed per step, in (0, 1]; by default `rtol`. */
  readonly atol?: number;
  /** Most evaluations per batch with adaptive steps; by default 1,000. */
  readonly maxEvaluations?: number;
  /** Strength of the noise that `sde` adds: its variance grows by noise (1 - t) dt. By default 1. */
  readonly noise?: number;
  /** Seed of the noise that `sde` adds, an integer in [0, 2^32); by default 0. */
  readonly seed?: number;
}

/** Options of adaptive steps. */
export const adaptiveOptions = ["rtol", "atol", "maxEvaluations"] as const;

/** Names of all options of solvers. */
export const solverOptions = ["solver", ...timesOptions, ...adaptiveOptions, "noise", "seed"] as const;

/** Default of `maxEvaluations`. */
export const defaultMaxEvaluations = 1000;

/** Whether options select adaptive steps. */
export function isAdaptive({ rtol, atol }: SolverOptions): boolean {
  return rtol !== undefined || atol !== undefined;
}

/** The tableau of a solver, by name or given. @throws {TypeError} if it is unknown */
export function tableauOf(solver: SolverOptions["solver"] = "heun"): ButcherTableau {
  if (typeof solver === "object" && solver !== null) return solver;
  if (Object.hasOwn(solvers, solver)) return solvers[solver as SolverName];
  const names = [...Object.keys(solvers), "sde", "map"];
  const [name, settings = ""] = String(solver).split(":");
  const fields = settings.split(",").map((field) => `, ${field.replace("=", ": ")}`).join("");
  throw new TypeError(
    settings && names.includes(name)
      ? `Unknown solver "${solver}": flags are written so (expected { solver: "${name}"${fields} })`
      : unknownName("solver", String(solver), names),
  );
}

/** A tableau that costs as much as a solver: Euler's for one evaluation per step, with noise or by a flow map. */
export function costTableau(solver: SolverOptions["solver"]): ButcherTableau {
  return solver === "sde" || solver === "map" ? euler : tableauOf(solver);
}

/** Start and end times of a solver's steps; a flow map takes one by default. @throws as {@linkcode timesOf} */
export function solverTimes(options: SolverOptions): readonly number[] {
  const { solver, steps, times } = options;
  return timesOf(
    solver === "map" && steps === undefined && times === undefined ? { ...options, steps: 1 } : options,
  );
}

/** The tableau of a solver that chooses its steps. @throws {TypeError} if it is unknown or has no error estimate */
export function embeddedTableauOf(solver: SolverOptions["solver"] = "dopri5"): EmbeddedTableau {
  const { error, ...tableau } = costTableau(solver);
  if (error) return { ...tableau, error };
  const name = typeof solver === "string" ? `the solver ${solver}` : "this solver";
  const known = Object.keys(adaptiveSolvers).join(" or ");
  throw new TypeError(
    `Cannot choose the steps of ${name}: it has no error estimate (expected ${known}, or a tableau with \`error\`)`,
  );
}

/** Evaluations of the field per sample in given steps; undefined for adaptive ones. @throws as `Sampler` */
export function evaluationsOf(options: SolverOptions): number | undefined {
  if (isAdaptive(options)) return undefined;
  const tableau = costTableau(options.solver);
  return evaluationsPerStep(tableau) * (solverTimes(options).length - 1) + (tableau.firstSameAsLast ? 1 : 0);
}
