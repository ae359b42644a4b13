/** A plan: the settings that a study varies, and how it evaluates. */

import { fileName, integer, number } from "../cli/kinds.ts";
import {
  accepted,
  asText,
  ConfigError,
  defineSettings,
  didYouMean,
  type Rows,
  type Setting,
  shownValue,
  valueOf,
  type Values,
  written,
  type WrittenValues,
} from "../cli/settings.ts";
import { solverList } from "../cli/solver.ts";
import { measuring } from "../evaluation/evaluation_options.ts";
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
import { shared } from "../settings/run.ts";
import { fields } from "../settings/run_config.ts";

/** A value of a setting, as in `config.json`. */
export type Value = string | number | boolean | readonly number[];

/** Training settings by name, and `share`. */
export type CellSettings = Readonly<Record<string, Value>>;

const valueKinds: readonly FieldCheck[] = [textField, flag, finiteNumber, listOf(finiteNumber)];
const valueField = check<Value>(
  "text, a number, a list of numbers or a switch",
  (value) => valueKinds.some((kind) => kind.accepts(value)),
);

export const settingsField: FieldCheck<CellSettings> = {
  ...tableOf(valueField),
  expected: `an object of settings by name, each ${valueField.expected}`,
};

/** A field without a flag. */
function field<Value>(
  { expected, accepts }: FieldCheck<Value>,
  fallback: Value,
  words = expected,
): Setting<Value> {
  return { accepts, expected: words, doc: "", default: fallback };
}

const { judge: _, judgeSteps: __, ...measured } = measuring;

/** How each network is evaluated; by default as its run draws samples. */
const planEvaluation = defineSettings({
  ...measured,
  courseImages: { ...measured.courseImages, default: 64 },
  bitsImages: { ...measured.bitsImages, default: 0 },
  milestones: integer({
    doc: "measurements of quality during training: after 1/2, 1/4, ... of it",
    max: 20, // with more, the first would be due before training starts
    default: 0,
  }),
  solvers: solverList({ doc: "more solvers to sample each network with", default: [] }),
});

const seedsField = check<readonly number[]>(
  "a list of at least one seed, each a whole number from 0 to 4294967295, once",
  (value) => listOf(shared.seed).accepts(value) && value.length > 0 && new Set(value).size === value.length,
);

const planFields = defineSettings({
  name: { ...fileName, doc: "name of the study", hint: "NAME" },
  preset: { ...fields.rows.preset, default: "quick" },
  grid: field(tableOf(listOf(valueField)), {}, "an object of lists of values by setting"),
  cells: field(listOf(settingsField), []),
  fixed: field(settingsField, {}),
  seeds: field(seedsField, [1, 2, 3]),
  steps: integer({ doc: "training steps of each cell", min: 1, default: 1000 }),
  evaluation: field<object>(fieldsOf({}), {}),
});

type PlanFields = Omit<Values<typeof planFields.rows>, "evaluation">;

/** How the networks of a study are evaluated, as written; a count of null means as many samples as the data allows. */
export type PlannedEvaluation = WrittenValues<typeof planEvaluation.rows>;

/** How the networks of a study are evaluated. */
export function evaluationOf({ evaluation, name }: Plan): Values<typeof planEvaluation.rows> {
  return planEvaluation.read(evaluation, `the evaluation of ${name}`);
}

/** What to compare: all combinations of the grid, and all cells, each trained with every seed. */
export type Plan = PlanFields & { readonly evaluation: PlannedEvaluation };

/** A plan as a user writes it; missing fields have defaults, and lists may be text: `16,32,64`. */
export type GivenPlan = Partial<PlanFields> & { readonly evaluation?: Partial<PlannedEvaluation> };

/**
 * Reads a plan and completes it. Its settings become the values of `config.json`, so that equal plans are equal.
 *
 * @param source of the plan, for errors
 */
export function readPlan(json: unknown, source: string): Plan {
  const { evaluation, grid, cells, fixed, ...plan } = planFields.read(json, source);
  const { name } = plan;
  const read = (settings: CellSettings, where: string): CellSettings => {
    const values = Object.entries(settings).map(([setting, value]) => [
      setting,
      plainValue(setting, readSetting(setting, value, `${where} of ${name}`)),
    ]);
    return Object.fromEntries(values);
  };
  const axes = Object.entries(grid).map(([setting, given]): [string, readonly Value[]] => {
    const values = given.map((value) => read({ [setting]: value }, "the grid")[setting]);
    const texts = values.map(String);
    if (values.length > 0 && new Set(texts).size === texts.length) return [setting, values];
    const has = texts.join(", ") || "no values";
    throw new ConfigError(
      `Cannot use the grid of ${name}: ${setting} has ${has} (expected values, each once)`,
    );
  });
  const both = axes.find(([setting]) => Object.hasOwn(fixed, setting));
  if (both) {
    throw new ConfigError(
      `Cannot use ${both[0]} of ${name}: it is both in the grid and fixed (expected one of them)`,
    );
  }
  return {
    ...plan,
    grid: Object.fromEntries(axes),
    cells: cells.map((cell, i) => read(cell, `cell ${i + 1}`)),
    fixed: read(fixed, "the fixed settings"),
    evaluation: planEvaluation.write(
      planEvaluation.read(evaluation, `the evaluation of ${source}`),
    ) as PlannedEvaluation,
  };
}

/** The settings of a plan: those of training, and the share of the plan's steps that a cell trains for. */
const known: Rows = {
  ...fields.rows,
  share: number({ doc: "share of the steps", above: 0, max: 1 }),
};

/** The value of a setting. @param where it was set, for errors */
export function readSetting(name: string, value: Value, where: string): unknown {
  if (!Object.hasOwn(known, name)) {
    throw new ConfigError(`Unknown setting ${name} in ${where}${didYouMean(name, Object.keys(known))}`);
  }
  const row = known[name];
  if (row.setByStudy !== undefined) {
    throw new ConfigError(`Cannot use ${name} in ${where}: a study sets it (expected ${row.setByStudy})`);
  }
  const typed = typeof value === "string" && !row.isList ? valueOf(row, value) : value;
  return accepted(row, typed, `${name} ${shownValue(row, value)} in ${where}`);
}

/** A setting as in `config.json`, but null as text. */
export function plainValue(name: string, setting: unknown): Value {
  const row = known[name];
  const value = row !== undefined && setting !== null ? written(row, setting) : setting;
  const isPlain = typeof value === "number" || typeof value === "boolean" || Array.isArray(value);
  return isPlain ? value as Value : asText(value);
}
