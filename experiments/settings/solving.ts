import { adaptiveDefaults } from "../../models/solve/adaptive_options.ts";
import { type FlowSolver, type FlowSolverName, flowSolvers } from "../../models/solve/flow_solvers.ts";
import { type AdaptiveSolverName, adaptiveSolvers } from "../../models/solve/solvers.ts";
import { mostNoise } from "../../models/solve/stochastic_sampler.ts";
import { timesOf } from "../../models/solve/time_grids.ts";
import { anyOf, choice, integer, number, optional } from "./kinds.ts";
import type { Values } from "./setting.ts";
import { makeTimes, timeGrid } from "./time_grid.ts";

const adaptive = Object.keys(adaptiveSolvers);
const tolerance = (error: string, other: string) =>
  optional(number({
    doc: `${error} error tolerance, for adaptive steps of ${adaptive.join(", ")} (else ${other})`,
    above: 0,
    max: 1,
  }));

/** A line of `--help`: the evaluations that a step of each solver takes. */
export function costsOf(names: readonly FlowSolverName[]): string {
  return names.map((name) => `${name} ${flowSolvers[name].evaluationsPerStep}`).join(", ");
}

const names = Object.keys(flowSolvers) as FlowSolverName[];
/** Those that add no noise on the way, and so lead back from an image to its noise. */
const reversible = names.filter((name) => !flowSolvers[name].stochastic);
const solverDoc = "how the flow is solved; below, evaluations a step";

/** Settings that say how a flow is followed there and back. */
export const solvingBothWays = {
  solver: {
    ...choice(reversible, { doc: solverDoc, default: "heun" }),
    details: [costsOf(reversible)],
    problem: (word: unknown) =>
      names.some((name) => name === word)
        ? `it adds noise on the way, so no image leads back to its noise (expected ${anyOf(reversible)})`
        : undefined,
  },
  steps: integer({ doc: "steps from noise to image", min: 1, max: 2 ** 24, default: 20 }),
  grid: timeGrid({ doc: "how the steps are spread over time", default: "uniform" }),
  rtol: tolerance("relative", "--atol"),
  atol: tolerance("absolute", "--rtol"),
  maxEvaluations: optional(integer({
    doc: `most evaluations of a batch, with --rtol or --atol (else ${adaptiveDefaults.maxEvaluations})`,
    min: 1,
  })),
} as const;

/** Settings that say how a flow is followed. */
export const solving = {
  ...solvingBothWays,
  solver: {
    ...choice(names, { doc: solverDoc, default: "heun" }),
    details: [`${costsOf(names)}; sde adds noise`],
  },
  noise: optional(number({ doc: "strength of the noise that sde adds on the way (else 1)", min: 0 })),
} as const;

/** The settings that say how a flow is followed, by name. */
export type SolvingConfig = Values<typeof solving>;

/** A solver, and what to call it. */
export interface ChosenSolver {
  readonly how: FlowSolver;
  /** Such as `heun, 20 steps`. */
  readonly words: string;
}

/** Settings that have no effect together: which one, and why. */
export interface Conflict {
  readonly name: keyof SolvingConfig;
  readonly problem: string;
}

/**
 * The solver that settings stand for.
 *
 * @param given the settings that somebody asked for
 * @param config all of them
 * @param nameOf how settings are called where they were given, `--rtol` say
 * @returns the solver, or the first setting that has no effect with the others
 */
export function chooseSolver(
  given: Partial<SolvingConfig>,
  config: SolvingConfig,
  nameOf: (name: keyof SolvingConfig) => string,
): ChosenSolver | Conflict {
  const { solver, grid } = config;
  const conflict = conflictOf(given, config, nameOf);
  if (conflict) return conflict;
  const rtol = config.rtol ?? config.atol;
  if (rtol !== null) {
    const limits = {
      rtol,
      atol: config.atol ?? rtol,
      maxEvaluations: config.maxEvaluations ?? adaptiveDefaults.maxEvaluations,
    };
    return {
      how: { method: "adaptive", solver: solver as AdaptiveSolverName, ...limits },
      words: `${solver}, rtol ${limits.rtol}, atol ${limits.atol}`,
    };
  }
  const made = makeTimes(grid);
  const when = "times" in made ? made : { steps: config.steps, ...grid !== "uniform" && made };
  const steps = "times" in when ? when.times.length - 1 : when.steps;
  const words = [
    solver,
    `${steps} step${steps > 1 ? "s" : ""}`,
    ...grid === "uniform" ? [] : [`times ${grid}`],
  ];
  if (solver !== "sde") return { how: { method: "fixed", solver, ...when }, words: words.join(", ") };
  const noise = config.noise ?? 1;
  const most = mostNoise(timesOf(when));
  if (noise > most) {
    const expected = `expected at most ${Number(most.toPrecision(3))}, or more steps`;
    return { name: "noise", problem: `it is too strong for ${steps} steps (${expected})` };
  }
  return {
    how: { method: "stochastic", solver, noise, ...when },
    words: [...words, `noise ${noise}`].join(", "),
  };
}

function conflictOf(
  given: Partial<SolvingConfig>,
  { solver, rtol, atol, grid, noise }: SolvingConfig,
  nameOf: (name: keyof SolvingConfig) => string,
): Conflict | undefined {
  const tolerances = `${nameOf("rtol")} or ${nameOf("atol")}`;
  const isGiven = (name: keyof SolvingConfig) => given[name] !== undefined && given[name] !== null;
  const adapts = rtol !== null || atol !== null;
  for (const name of ["rtol", "atol", "maxEvaluations"] as const) {
    if (!isGiven(name)) continue;
    if (!flowSolvers[solver].adaptive) {
      return {
        name,
        problem: `${solver} cannot choose its own steps (expected ${nameOf("solver")} ${anyOf(adaptive)})`,
      };
    }
    if (!adapts) return { name, problem: `the steps are fixed (expected ${tolerances} with it)` };
  }
  for (const name of ["steps", "grid"] as const) {
    if (adapts && isGiven(name)) {
      return { name, problem: `with ${tolerances}, ${solver} chooses its own steps (leave one of them out)` };
    }
  }
  if (isGiven("steps") && "times" in makeTimes(grid)) {
    return { name: "steps", problem: `${nameOf("grid")} ${grid} has its own steps (leave one of them out)` };
  }
  if (noise !== null && solver !== "sde") {
    return { name: "noise", problem: `${solver} adds no noise (expected ${nameOf("solver")} sde)` };
  }
  return undefined;
}
