import { measuring, samplesOfStudy } from "../evaluation/evaluation_options.ts";
import {
  check,
  type FieldCheck,
  fieldsOf,
  finiteNumber,
  flag,
  listOf,
  tableOf,
  textField,
} from "../run/field_checks.ts";
import { choice, fileName, integer, number, optional } from "../cli/kinds.ts";
import {
  accepted,
  asText,
  ConfigError,
  didYouMean,
  type Rows,
  type Setting,
  shownValue,
  valueOf,
  type Values,
} from "../cli/setting.ts";
import { defineSettings } from "../cli/settings.ts";
import { shared } from "../cli/shared.ts";
import { solverList } from "../cli/solver.ts";
import { training } from "../cli/training.ts";

/** A value of a setting in a plan; lists are text, as on a command line: `16,32,64`. */
export type Value = string | number | boolean;

/**
 * Training settings by name, and two of studies: `match` finds the widths at which the network equals the other network
 * (at its own widths) in parameters, arithmetic or time per step; `share` is the cell's share of the budget.
 */
export type CellSettings = Readonly<Record<string, Value>>;

/** A field without a flag; `expected` replaces the description of its check. */
function field<Value>(check: FieldCheck<Value>, fallback: Value, expected = check.expected): Setting<Value> {
  return { ...check, expected, doc: "", default: fallback };
}

const valueField = check<Value>(
  "text, a number, a list of numbers or a switch",
  (value) => [textField, flag, finiteNumber, listOf(finiteNumber)].some((is) => is.accepts(value)),
);

export const settingsField: FieldCheck<CellSettings> = {
  ...tableOf(valueField),
  expected: `an object of settings by name, each ${valueField.expected}`,
};

const { seed, solver, courseImages, bitsImages } = measuring;

/** How to evaluate each network of a study; by default with the solver and guidance of its run. */
export const planEvaluation = defineSettings({
  count: samplesOfStudy,
  seed,
  solver,
  guidance: optional(number({ doc: "guidance of the samples", min: 0 })),
  courseImages: { ...courseImages, default: 64 },
  bitsImages: { ...bitsImages, default: 0 },
  milestones: integer({
    doc: "measurements of quality during training: after 1/2, 1/4, ... of it",
    max: 20, // with more, the first would be due before training starts
    default: 0,
  }),
  solvers: solverList({ doc: "additional solvers to sample each network with", default: [] }),
});

const planFields = defineSettings({
  name: { ...fileName, doc: "name of the study", hint: "NAME" },
  preset: { ...training.rows.preset, default: "quick" },
  grid: field(tableOf(listOf(valueField)), {}, "an object of lists of values by setting"),
  cells: field(listOf(settingsField), []),
  fixed: field(settingsField, {}),
  seeds: field(
    check<readonly number[]>(
      "a list of at least one seed, each a whole number from 0 to 4294967295",
      (value) => listOf(shared.seed).accepts(value) && value.length > 0,
    ),
    [1, 2, 3],
  ),
  budget: field(
    check<{ readonly steps: number } | { readonly minutes: number }>(
      "steps (a whole number of at least 1) or minutes (above 0)",
      (value) => {
        const { steps, minutes, ...rest } = Object(value);
        if (Object.keys(rest).length > 0) return false;
        if (minutes === undefined) return Number.isSafeInteger(steps) && steps > 0;
        return steps === undefined && Number.isFinite(minutes) && minutes > 0;
      },
    ),
    { steps: 1000 },
  ),
  evaluation: field<object>(fieldsOf({}), {}),
});

type PlanFields = Omit<Values<typeof planFields.rows>, "evaluation">;

/** The evaluation settings of a plan. */
export type PlannedEvaluation = Values<typeof planEvaluation.rows>;

/** A plan of what to compare: all combinations of the grid, and all cells, each trained with every seed. */
export type Plan = PlanFields & { readonly evaluation: PlannedEvaluation };

/** A plan as written by a user; missing fields have defaults. */
export type GivenPlan = Partial<PlanFields> & { readonly evaluation?: Partial<PlannedEvaluation> };

/**
 * Reads the fields of a plan, and fills in defaults.
 *
 * @param source the source of the plan, for errors
 * @throws {ConfigError} if a field is unknown or invalid
 */
export function readPlan(json: unknown, source: string): Plan {
  const { evaluation, ...plan } = planFields.read(json, source);
  return { ...plan, evaluation: planEvaluation.read(evaluation, `the evaluation of ${source}`) };
}

/**
 * Checks the settings of a plan one by one and normalises them, so that equal plans have equal text.
 *
 * @throws {ConfigError} if a setting is unknown or a value cannot be used
 */
export function completePlan(plan: Plan): Plan {
  checkSize(plan);
  const { name } = plan;
  const plain = (setting: string, value: Value, where: string) =>
    plainValue(settingOf(setting, value, `${where} of ${name}`));
  const plainSettings = (settings: CellSettings, where: string) =>
    Object.fromEntries(
      Object.entries(settings).map(([setting, value]) => [setting, plain(setting, value, where)]),
    );
  const grid = Object.entries(plan.grid).map(([setting, listed]) => {
    const values = listed.map((value) => plain(setting, value, "the grid"));
    if (values.length === 0) {
      throw new ConfigError(
        `Cannot use the grid of ${name}: ${setting} has no values (expected at least 1)`,
      );
    }
    refuseRepeated(values, `the grid of ${name}: ${setting} has`);
    if (!Object.hasOwn(plan.fixed, setting)) return [setting, values] as const;
    throw new ConfigError(
      `Cannot use ${setting} of ${name}: it is both in the grid and fixed (expected one of them)`,
    );
  });
  const own = Object.keys(ownSettings).find((setting) => Object.hasOwn(plan.fixed, setting));
  if (own !== undefined) {
    throw new ConfigError(`Cannot fix ${own} in ${name}: it varies by cell; move it from fixed to cells`);
  }
  refuseRepeated(plan.seeds, `the seeds of ${name}: there is`);
  return {
    ...plan,
    grid: Object.fromEntries(grid),
    cells: plan.cells.map((cell, i) => plainSettings(cell, `cell ${i + 1}`)),
    fixed: plainSettings(plan.fixed, "the fixed settings"),
  };
}

/** Maximum number of cells in a study, the same as Slurm's default for tasks in a job array. */
const maxCells = 1000;

/** @throws {ConfigError} if a plan has too many cells */
function checkSize({ name, grid, cells, seeds }: Plan): void {
  const lists = Object.values(grid);
  const inGrid = lists.length > 0 ? lists.reduce((product, values) => product * values.length, 1) : 0;
  const all = (inGrid + cells.length) * seeds.length;
  if (all <= maxCells) return;
  throw new ConfigError(
    `Cannot run the plan ${name}: its grid, cells and seeds give ${
      all.toLocaleString("en")
    } cells (expected at most ` +
      `${maxCells.toLocaleString("en")}); use fewer values or seeds`,
  );
}

function refuseRepeated(values: readonly Value[], where: string): void {
  const seen = new Set<Value>();
  const twice = values.find((value) => seen.size === seen.add(value).size);
  if (twice !== undefined) throw new ConfigError(`Cannot use ${where} ${twice} twice`);
}

/** The settings of a plan's cells: all combinations of its grid, then its own cells. @throws {ConfigError} if none */
export function combinations({ grid, cells, name }: Pick<Plan, "grid" | "cells" | "name">): CellSettings[] {
  const axes = Object.entries(grid);
  const product = axes.reduce<CellSettings[]>(
    (all, [setting, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [setting]: value }))),
    [{}],
  );
  const all = [...axes.length > 0 ? product : [], ...cells];
  if (all.length > 0) return all;
  throw new ConfigError(
    `Cannot run the plan ${name}: it has neither a grid nor cells (expected at least one of them)`,
  );
}

/** Settings of studies, see {@linkcode CellSettings}. */
export const ownSettings = {
  match: choice(["parameters", "arithmetic", "time"], {
    doc: "the quantity in which the network equals the other network",
  }),
  share: number({ doc: "share of the budget", above: 0, max: 1 }),
} satisfies Rows;

/** The quantity in which a network equals the other one. */
export type Match = "parameters" | "arithmetic" | "time";

/**
 * Converts a value of a setting to its form in `config.json`.
 *
 * @param where where it was set, for errors, e.g. `the grid of networks`
 * @throws {ConfigError} if the setting is unknown, is set by the study itself, or does not accept the value
 */
export function settingOf(name: string, value: Value, where: string): unknown {
  const known: Rows = { ...training.rows, ...ownSettings };
  if (!Object.hasOwn(known, name)) {
    throw new ConfigError(`Unknown setting ${name} in ${where}${didYouMean(name, Object.keys(known))}`);
  }
  const row = known[name];
  if (row.setByStudy !== undefined) {
    throw new ConfigError(`Cannot use ${name} in ${where}: a study sets it (expected ${row.setByStudy})`);
  }
  const typed = typeof value === "string" ? valueOf(row, value) : value;
  return accepted(row, typed, `${name} ${shownValue(row, value)} in ${where}`);
}

/** Converts a value to its form in plans and results, where lists are text. */
export function plainValue(value: unknown): Value {
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "number" || typeof value === "boolean" ? value : asText(value);
}
