import { unknownName } from "../names.ts";
import {
  euler,
  eulerMaruyama,
  flowMap,
  type FlowSolver,
  type NoiseOptions,
  noiseOptions,
  rungeKutta,
} from "./flow_solver.ts";
import { isAdaptive, type ToleranceOptions, toleranceOptions } from "./step_control.ts";
import { type ButcherTableau, defineTableau, type EmbeddedTableau, evaluationsPerStep } from "./tableau.ts";
import { timesOf, type TimesOptions, timesOptions } from "./time_grids.ts";

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

/** Name of any solver: a Runge-Kutta method, `sde` with noise, or `map` for the steps of a flow map. */
export type FlowSolverName = SolverName | "sde" | "map";

/** All solvers by name. */
export const flowSolvers: Readonly<Record<FlowSolverName, FlowSolver>> = {
  ...Object.fromEntries(
    Object.entries(solvers).map(([name, tableau]) => [name, rungeKutta(tableau)]),
  ) as Record<SolverName, FlowSolver>,
  sde: eulerMaruyama,
  map: flowMap,
};

/**
 * How to solve a flow: in given steps, `{ solver: "heun", steps: 20 }`, the default; in steps that each sample chooses,
 * `{ solver: "dopri5", rtol: 1e-3 }`; with noise, `{ solver: "sde", steps: 100, noise: 1 }`; or by a flow map,
 * `{ solver: "map", steps: 1 }`, its default.
 */
export interface SolverOptions extends TimesOptions, ToleranceOptions, NoiseOptions {
  /** Name or tableau of the solver; by default `heun`, or `dopri5` with a tolerance. */
  readonly solver?: FlowSolverName | ButcherTableau;
}

/** Names of all options of solvers. */
export const solverOptions = ["solver", ...timesOptions, ...toleranceOptions, ...noiseOptions] as const;

/** The solver of a name or a tableau. @throws {TypeError} if it is unknown */
export function flowSolverOf(solver: SolverOptions["solver"] = "heun"): FlowSolver {
  if (typeof solver === "object" && solver !== null) return rungeKutta(solver);
  if (Object.hasOwn(flowSolvers, solver)) return flowSolvers[solver];
  const names = Object.keys(flowSolvers);
  const [name, settings = ""] = String(solver).split(":");
  const fields = settings.split(",").map((field) => `, ${field.replace("=", ": ")}`).join("");
  throw new TypeError(
    settings && names.includes(name)
      ? `Unknown solver "${solver}": this is the syntax of flags (expected { solver: "${name}"${fields} })`
      : unknownName("solver", String(solver), names),
  );
}

/** Start and end times of a solver's steps. @throws as {@linkcode timesOf} */
export function solverTimes(options: SolverOptions): readonly number[] {
  return timesOf(options, flowSolverOf(options.solver).defaultSteps);
}

/** The tableau of a solver that chooses its steps. @throws {TypeError} if it is unknown or has no error estimate */
export function embeddedTableauOf(solver: SolverOptions["solver"] = "dopri5"): EmbeddedTableau {
  const { error, ...tableau } = flowSolverOf(solver).tableau;
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
  const { tableau } = flowSolverOf(options.solver);
  return evaluationsPerStep(tableau) * (solverTimes(options).length - 1) + (tableau.firstSameAsLast ? 1 : 0);
}
