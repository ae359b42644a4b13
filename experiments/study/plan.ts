import {
  count,
  type FieldCheck,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  tableOf,
  text,
} from "../run/field_checks.ts";
import { choice, number } from "../settings/kinds.ts";
import { accepted, asText, ConfigError, didYouMean, type Rows, shownValue } from "../settings/setting.ts";
import { makeSolver } from "../settings/solver.ts";
import { evaluating } from "../evaluate.ts";
import { type PresetName, presetNames, training } from "../settings/training.ts";
import { shared } from "../settings/shared.ts";

/** A value of a setting in a plan; a list is text, as on a command line: `16,32,64`. */
export type Value = string | number | boolean;

/**
 * Settings of training by name, and two of studies: `match` asks for the widths at which the network has as many
 * parameters, as much arithmetic or as long a training step as the other network at the given widths; `share` is the
 * part of the budget that the cell gets.
 */
export type CellSettings = Readonly<Record<string, Value>>;

/** How each network is evaluated. */
export interface PlannedEvaluation {
  /** Samples, and real images to compare them with. */
  readonly count: number;
  /** Seed of the noise. */
  readonly seed: number;
  /** Solver of the samples, as `makeSolver` reads it; by default the run's. */
  readonly solver?: string;
  /** By default the run's. */
  readonly guidance?: number;
  /** Images for trajectory and round-trip metrics. */
  readonly courseImages: number;
  /** Test images whose bits per dimension are measured. */
  readonly bitsImages: number;
  /** How often quality is measured during training: after 1/2, 1/4, ... of it. */
  readonly milestones?: number;
  /** More solvers to sample each network with, as `makeSolver` reads them. */
  readonly solvers: readonly string[];
}

/** What a study compares: all combinations of the grid, and the cells, each trained with each of the seeds. */
export interface Plan {
  readonly name: string;
  readonly preset: PresetName;
  /** Values by setting. */
  readonly grid: Readonly<Record<string, readonly Value[]>>;
  /** Settings that are trained besides the grid. */
  readonly cells: readonly CellSettings[];
  /** Settings of all cells. */
  readonly fixed: CellSettings;
  readonly seeds: readonly number[];
  /** How long each network is trained. */
  readonly budget: { readonly steps: number } | { readonly minutes: number };
  readonly evaluation: PlannedEvaluation;
}

/** A plan as someone writes it; the rest has defaults. */
export type GivenPlan = Partial<Omit<Plan, "evaluation">> & {
  readonly evaluation?: Partial<PlannedEvaluation>;
};

const defaults = {
  preset: "quick",
  grid: {},
  cells: [],
  fixed: {},
  seeds: [1, 2, 3],
  budget: { steps: 1000 },
} as const satisfies GivenPlan;

const defaultEvaluation = { count: 1000, seed: 0, courseImages: 64, bitsImages: 0, solvers: [] };

/** With more, the first would come before training has begun. */
export const mostMilestones = 20;

const value: FieldCheck = {
  expected: "text, a number, a list of numbers or a switch",
  accepts: (value) =>
    ["string", "boolean"].includes(typeof value) || Number.isFinite(value) ||
    Array.isArray(value) && value.every(Number.isFinite),
};

/** Settings by name, as a file holds them. */
export const settingsField: FieldCheck = tableOf(value);

const evaluationFields: Readonly<Record<keyof PlannedEvaluation, FieldCheck>> = {
  count,
  seed: count,
  solver: ifGiven(text),
  guidance: ifGiven(finiteNumber),
  courseImages: count,
  bitsImages: count,
  milestones: ifGiven(count),
  solvers: listOf(text),
};

/** The fields of a complete plan. */
export const planFields: Readonly<Record<keyof Plan, FieldCheck>> = {
  name: {
    expected: "letters, digits, dots, hyphens and underscores",
    accepts: (value) => typeof value === "string" && /^\w[\w.-]*$/.test(value),
  },
  preset: {
    expected: presetNames.join(", "),
    accepts: (value) => presetNames.some((name) => name === value),
  },
  grid: tableOf(listOf(value)),
  cells: listOf(settingsField),
  fixed: settingsField,
  seeds: listOf(count),
  budget: {
    expected: "steps, a whole number of at least 1, or minutes, above 0",
    accepts: (value) => {
      const { steps, minutes, ...rest } = Object(value);
      if (Object.keys(rest).length > 0) return false;
      if (minutes === undefined) return Number.isSafeInteger(steps) && steps > 0;
      return steps === undefined && Number.isFinite(minutes) && minutes > 0;
    },
  },
  evaluation: fieldsOf(evaluationFields),
};

/** The fields of a plan as someone writes it: all are optional, and null is no value of any. */
export const givenPlanFields: Readonly<Record<string, FieldCheck>> = partially({
  ...planFields,
  evaluation: {
    expected: `an object with some of ${Object.keys(evaluationFields).join(", ")}`,
    accepts: (value) =>
      fieldsOf(partially(evaluationFields)).accepts(value) &&
      Object.keys(Object(value)).every((name) => Object.hasOwn(evaluationFields, name)),
  },
});

function partially(checks: Readonly<Record<string, FieldCheck>>): Readonly<Record<string, FieldCheck>> {
  return Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, ifGiven(check)]));
}

/**
 * Fills in the defaults of a plan, and checks each of its settings; equal plans have the same form afterwards.
 *
 * @throws {ConfigError} if a setting is unknown or a value cannot be used
 */
export function completePlan(name: string, { evaluation, ...given }: GivenPlan): Plan {
  const plan: Plan = { ...defaults, ...given, name, evaluation: { ...defaultEvaluation, ...evaluation } };
  const grid = Object.entries(plan.grid).map(([setting, values]) => {
    const plain = values.map((value) => plainValue(settingOf(setting, value, `the grid of ${name}`)));
    if (plain.length === 0) {
      throw new ConfigError(
        `Cannot use the grid of ${name}: ${setting} has no values (expected at least one)`,
      );
    }
    refuseRepeated(plain, `the grid of ${name}: ${setting} has`);
    if (!Object.hasOwn(plan.fixed, setting)) return [setting, plain] as const;
    throw new ConfigError(
      `Cannot use ${setting} of ${name}: the grid varies it, and it is fixed (expected one of them)`,
    );
  });
  const own = Object.keys(ownSettings).find((setting) => Object.hasOwn(plan.fixed, setting));
  if (own !== undefined) {
    throw new ConfigError(`Cannot fix ${own} in ${name}: it tells cells apart (expected it in them)`);
  }
  const { seeds } = plan;
  for (const seed of seeds) accepted(shared.seed, seed, `the seed ${JSON.stringify(seed)} of ${name}`);
  refuseRepeated(seeds, `the seeds of ${name}: there is`);
  if (seeds.length === 0) {
    throw new ConfigError(`Cannot run the plan ${name}: it has no seeds (expected at least one)`);
  }
  checkEvaluation(plan.evaluation, name);
  const plainSettings = (settings: CellSettings, where: string) =>
    Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [name, plainValue(settingOf(name, value, where))]),
    );
  return {
    ...plan,
    grid: Object.fromEntries(grid),
    cells: plan.cells.map((cell, i) => plainSettings(cell, `cell ${i + 1} of ${name}`)),
    fixed: plainSettings(plan.fixed, `the fixed settings of ${name}`),
  };
}

function refuseRepeated(values: readonly Value[], where: string): void {
  const twice = values.find((value, i) => values.indexOf(value) < i);
  if (twice !== undefined) throw new ConfigError(`Cannot use ${where} ${twice} twice`);
}

function checkEvaluation({ solvers, milestones = 0, ...rest }: PlannedEvaluation, name: string): void {
  if (milestones > mostMilestones) {
    throw new ConfigError(
      `Cannot use ${milestones} milestones in the evaluation of ${name} (expected 0 to ${mostMilestones})`,
    );
  }
  for (const [setting, value] of Object.entries(rest)) {
    const row = evaluating.rows[setting as keyof typeof rest];
    accepted<unknown>(row, value, `${setting} ${shownValue(row, value)} in the evaluation of ${name}`);
  }
  if (rest.solver !== undefined) makeSolver(rest.solver);
  solvers.forEach(makeSolver);
  refuseRepeated(solvers, `the solvers of ${name}: there is`);
}

/** The settings that a plan asks for: all combinations of its grid, then its cells. @throws {ConfigError} if none */
export function combinations({ grid, cells, name }: Pick<Plan, "grid" | "cells" | "name">): CellSettings[] {
  const axes = Object.entries(grid);
  const product = axes.reduce<CellSettings[]>(
    (all, [setting, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [setting]: value }))),
    [{}],
  );
  const all = [...axes.length > 0 ? product : [], ...cells];
  if (all.length > 0) return all;
  throw new ConfigError(
    `Cannot run the plan ${name}: it has neither a grid nor cells (expected one of them)`,
  );
}

/** Settings of training that a study sets itself, and where. */
const setByStudy: Readonly<Record<string, string>> = {
  seed: "seeds",
  epochs: "the budget",
  maxSteps: "the budget",
  maxMinutes: "the budget",
  name: "the name of the plan",
  out: "--out",
  resume: "the folder of the study",
  device: "--device",
  threads: "--threads",
  mlflow: "--mlflow",
  experiment: "--experiment",
  runName: "the ids of the cells",
};

/** Settings of studies, see {@linkcode CellSettings}. */
export const ownSettings = {
  match: choice(["parameters", "arithmetic", "time"], {
    doc: "what the network has as much of as the other network",
  }),
  share: number({ doc: "part of the budget", above: 0, max: 1 }),
} satisfies Rows;

/** What a network is matched in. */
export type Match = "parameters" | "arithmetic" | "time";

/**
 * A value of a setting as `config.json` holds it.
 *
 * @param where for errors, e.g. `the grid of networks`
 * @throws {ConfigError} if the setting is unknown, or set by the study itself, or does not accept the value
 */
export function settingOf(name: string, value: Value, where: string): unknown {
  if (Object.hasOwn(setByStudy, name)) {
    throw new ConfigError(`Cannot use ${name} in ${where}: a study sets it (expected ${setByStudy[name]})`);
  }
  const known: Rows = { ...training.rows, ...ownSettings };
  if (!Object.hasOwn(known, name)) {
    throw new ConfigError(`Unknown setting ${name} in ${where}${didYouMean(name, Object.keys(known))}`);
  }
  const typed = typeof value === "string" ? known[name].fromText(value) : value;
  return accepted(known[name], typed, `${name} ${shownValue(known[name], value)} in ${where}`);
}

/** A value as plans and results hold it: lists are text. */
export function plainValue(value: unknown): Value {
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "number" || typeof value === "boolean" ? value : asText(value);
}
