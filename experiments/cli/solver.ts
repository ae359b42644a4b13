import {
  defaultMaxEvaluations,
  evaluationsPerStep,
  type FlowSolver,
  type FlowSolverName,
  flowSolvers,
  maxNoise,
  type SolverName,
  type SolverOptions,
  solvers,
  type TimeGrid,
  timeGrids,
  timesOf,
  type TimesOptions,
} from "../../models/mod.ts";
import { anyOf, listOf, textField } from "../run/field_checks.ts";
import {
  checkedBy,
  choice,
  chooseVariant,
  integer,
  number,
  type Options,
  type PairRow,
  pairsAfter,
  variant,
} from "./kinds.ts";
import { ConfigError, didYouMean, type Setting } from "./settings.ts";

/** Solvers that a task can use: `fixed` steps only, those that also run `backward` from image to noise, or `all`. */
type Use = "fixed" | "backward" | "all";

/** A solver. */
export interface ChosenSolver<How extends SolverOptions = SolverOptions> {
  readonly how: How;
  /** In words, such as `heun, 20 steps`. */
  readonly description: string;
  /** As it was written, such as `heun:steps=20`. */
  readonly text: string;
}

/** A solver with fixed steps, as the options of `sample()`. */
export type FixedSteps = TimesOptions & { readonly solver: FlowSolverName; readonly last?: SolverName };

const costs = Object.entries(solvers).map(([name, tableau]) => `${name} ${evaluationsPerStep(tableau)}`);
const allNames = Object.keys(flowSolvers) as FlowSolverName[];
const uses: Readonly<Record<Use, (solver: FlowSolver) => boolean>> = {
  fixed: ({ addsNoise }) => !addsNoise,
  backward: ({ forwardOnly }) => forwardOnly === undefined,
  all: () => true,
};
const namesFor = (use: Use) => allNames.filter((name) => uses[use](flowSolvers[name]));
const grids = variant(timeGrids, { doc: "" });
const tolerance = { doc: "", above: 0, max: 1 };

/** The settings of a solver. */
function rowsOf(name: FlowSolverName, use: Use): Readonly<Record<string, PairRow>> {
  const { tableau, addsNoise } = flowSolvers[name];
  return {
    steps: integer({ doc: "", min: 1, max: 2 ** 24 }),
    grid: {
      expected: `${grids.expected}, or times from 0 to 1 such as 0/0.35/1`,
      ...checkedBy(gridProblem),
    },
    ...use !== "fixed" && tableau.error && {
      rtol: number(tolerance),
      atol: number(tolerance),
      "max-evaluations": integer({ doc: "", min: 1 }),
    },
    ...addsNoise && { noise: number({ doc: "", min: 0 }) },
    ...name in solvers && { last: choice(Object.keys(solvers), { doc: "" }) },
  };
}

/**
 * A setting for a solver, written `heun:steps=20`, `dopri5:rtol=1e-3`, `sde:steps=64,noise=1` or `euler:grid=0/0.35/1`.
 *
 * @param use the solvers that the task can use
 */
export function solverSetting(
  options: Options<ChosenSolver>,
  use: Use = "all",
): Setting<ChosenSolver, string> {
  return {
    ...options,
    hint: "SOLVER",
    expected: "a solver such as heun:steps=20",
    details: [
      `evaluations per step: ${costs.join(", ")}`,
      "NAME:steps=N,grid=quadratic or NAME:grid=0/0.35/1 spreads the steps over time",
      "the last step is Euler's unless NAME evaluates nothing at t = 1; heun:last=heun is all Heun's",
      ...(use === "fixed"
        ? []
        : ["dopri5:rtol=1e-3 chooses its steps; so does bosh3 (also atol, max-evaluations)"]),
      ...namesFor(use).flatMap((name) => {
        const { help: [example, does] = [], tableau } = flowSolvers[name];
        return example ? [`${example} ${does} (${evaluationsPerStep(tableau)} evaluation per step)`] : [];
      }),
    ],
    ...checkedBy((text) => parse(text, use)),
    read: (text) => makeSolver(text, use),
    write: ({ text }) => text,
  };
}

/** A setting for a solver with fixed steps, as runs use them for their own pictures. */
export function fixedSolverSetting(
  options: Options<ChosenSolver<FixedSteps>>,
): Setting<ChosenSolver<FixedSteps>, string> {
  return solverSetting(options, "fixed") as Setting<ChosenSolver<FixedSteps>, string>; // it refuses others
}

/** A setting for several solvers, each once: the flag is given again on a command line, a plan has a list. */
export function solverList(
  options: Options<readonly ChosenSolver[]>,
): Setting<readonly ChosenSolver[], readonly string[]> {
  const expected = "solvers such as heun:steps=8";
  const texts = listOf(textField);
  const problem = (value: unknown) => {
    if (!texts.accepts(value)) return `expected ${expected}`;
    for (const [i, text] of value.entries()) {
      const parsed = parse(text, "all");
      if (typeof parsed === "string") return value.length > 1 ? `${text}: ${parsed}` : parsed;
      if (value.indexOf(text) < i) return `${text} is listed twice`;
    }
  };
  return {
    ...options,
    hint: "SOLVER",
    expected,
    isList: true,
    fromText: (text) => [text],
    accepts: (value): value is readonly string[] => problem(value) === undefined,
    problem,
    read: (texts) => texts.map((text) => makeSolver(text)),
    write: (solvers) => solvers.map(({ text }) => text),
  };
}

/** Makes the solver that a text describes. @throws {ConfigError} if it names none, or a setting has no effect */
export function makeSolver(text: string, use: Use = "all"): ChosenSolver {
  const parsed = parse(text, use);
  if (typeof parsed !== "string") return parsed;
  throw new ConfigError(`Cannot use the solver ${JSON.stringify(text)}: ${parsed}`);
}

/** A solver with a number of equal steps. */
export function solverWith(solver: FlowSolverName, steps: number): ChosenSolver<FixedSteps> {
  const description = `${solver}, ${steps} step${steps > 1 ? "s" : ""}`;
  return { how: { solver, steps }, description, text: `${solver}:steps=${steps}` };
}

/** Reads `name:key=value,key=value`, or says what is wrong. */
function parse(text: string, use: Use): ChosenSolver | string {
  const [name] = text.split(":");
  const solverName = allNames.find((known) => known === name);
  const names = namesFor(use);
  if (solverName === undefined) return `expected ${anyOf(names)}${didYouMean(name, names)}`;
  if (!names.includes(solverName)) {
    const why = use === "backward" ? "only leads from noise to images" : "adds noise on the way";
    return `${name} ${why} (expected ${anyOf(names)})`;
  }
  const settings = pairsAfter(name, text, rowsOf(solverName, use));
  if (typeof settings === "string") return settings;
  const solver = solverOf(solverName, settings);
  return typeof solver === "string" ? solver : { ...solver, text };
}

/** Makes a solver from settings that are valid one by one, or reports one that has no effect with the others. */
function solverOf(
  name: FlowSolverName,
  settings: ReadonlyMap<string, string>,
): Omit<ChosenSolver, "text"> | string {
  const { addsNoise, defaultSteps } = flowSolvers[name];
  const numberOf = (key: string) => settings.has(key) ? Number(settings.get(key)) : undefined;
  const [rtol, atol] = [numberOf("rtol"), numberOf("atol")];
  const maxEvaluations = numberOf("max-evaluations");
  const last = settings.get("last") as SolverName | undefined; // a valid name
  const end = last === undefined ? "" : `, last step ${last}`;
  if (rtol !== undefined || atol !== undefined) {
    const key = ["steps", "grid"].find((key) => settings.has(key));
    if (key) return `with rtol or atol, ${name} chooses its own steps (leave out ${key})`;
    const both = { rtol: rtol ?? atol!, atol: atol ?? rtol! };
    const how = { solver: name, ...both, maxEvaluations: maxEvaluations ?? defaultMaxEvaluations };
    const description = `${name}, rtol ${both.rtol}, atol ${both.atol}${end}`;
    return { how: last === undefined ? how : { ...how, last }, description };
  }
  if (maxEvaluations !== undefined) return "max-evaluations has no effect without rtol or atol; remove it";
  const grid = settings.get("grid");
  if (grid && isList(grid) && settings.has("steps")) {
    return `grid=${grid} has its own steps (leave out steps)`;
  }
  const when = timesFor(grid, numberOf("steps") ?? defaultSteps);
  const steps = "times" in when ? when.times.length - 1 : when.steps;
  const description = `${name}, ${steps} step${steps > 1 ? "s" : ""}${grid ? `, times ${grid}` : ""}${end}`;
  if (!addsNoise) return { how: { solver: name, ...when, ...last && { last } }, description };
  const noise = numberOf("noise") ?? 1;
  const max = maxNoise(timesOf(when));
  if (noise > max) {
    const expected = `expected at most ${Number(max.toPrecision(3))}, or more steps`;
    return `noise ${noise} is too strong for ${steps} steps (${expected})`;
  }
  return { how: { solver: name, noise, ...when }, description: `${description}, noise ${noise}` };
}

type When = { readonly steps: number; readonly grid?: TimeGrid } | { readonly times: readonly number[] };

function timesFor(grid: string | undefined, steps: number): When {
  if (!grid) return { steps };
  return isList(grid) ? { times: timesIn(grid) } : { steps, grid: chooseVariant(timeGrids, grid).value };
}

/** Whether a grid is a list of times; names begin with a letter. */
function isList(grid: string): boolean {
  return /^[-+.\d]/.test(grid);
}

function timesIn(text: string): number[] {
  return text.split("/").map((time) => time.trim() === "" ? NaN : Number(time));
}

function gridProblem(text: string): string | undefined {
  if (!isList(text)) {
    return grids.accepts(text) ? undefined : `${grids.problem?.(text)}, or times such as 0/0.35/1`;
  }
  const times = timesIn(text);
  const expected = "expected times that rise from 0 to 1, such as 0/0.35/1";
  const bad = times.findIndex((t, i) => i === 0 ? t !== 0 : !(t > times[i - 1] && t <= 1));
  if (bad >= 0) return `time ${bad + 1} of ${times.length} is ${times[bad]} (${expected})`;
  const last = times[times.length - 1];
  return last === 1 ? undefined : `the last time is ${last} (${expected})`;
}

/** The solvers compared by default. */
export const usualSolvers: readonly string[] = [
  ...[4, 8, 16, 32, 64].map((steps) => `euler:steps=${steps}`),
  ...[2, 4, 8, 16, 32].flatMap((steps) => [`midpoint:steps=${steps}`, `heun:steps=${steps}`]),
  ...[2, 5, 10, 21].map((steps) => `bosh3:steps=${steps}`),
  ...[1, 2, 4, 8, 16].map((steps) => `rk4:steps=${steps}`),
  ...[1, 3, 5, 10].map((steps) => `dopri5:steps=${steps}`),
  ...["1e-1", "1e-2", "1e-3"].flatMap((rtol) => [`bosh3:rtol=${rtol}`, `dopri5:rtol=${rtol}`]),
  ...[16, 64].map((steps) => `sde:steps=${steps}`),
];
