/** A plan: the settings that a study varies, and its cells, which are training runs. */

import { basename, dirname } from "node:path";
import { couplings, predictions, timeDistributions } from "../../models/mod.ts";
import { measuring } from "../evaluation/evaluation_options.ts";
import { chosenNetwork, nameNetwork } from "../networks/own_network.ts";
import {
  anyOf,
  check,
  type Checked,
  type FieldCheck,
  fieldsOf,
  finiteNumber,
  flag,
  listOf,
  tableOf,
  textField,
} from "../run/field_checks.ts";
import { fileName, integer, number, optional } from "../cli/kinds.ts";
import {
  accepted,
  asText,
  ConfigError,
  defineSettings,
  didYouMean,
  flagOf,
  type Rows,
  type Setting,
  shownValue,
  valueOf,
  type Values,
  written,
  type WrittenValues,
} from "../cli/settings.ts";
import { solverList, usualSolvers } from "../cli/solver.ts";
import { readJson, writeAtomic } from "../run/run_folder.ts";
import { readProgramFile } from "../run/program_files.ts";
import { configJson } from "../settings/config_file.ts";
import { type GivenFields, newDistillation, newTraining } from "../settings/decide.ts";
import { isUNet, parseNetwork, unetSettings } from "../settings/network.ts";
import { presets } from "../settings/presets.ts";
import { fields, fieldsOfRun, type RunConfig } from "../settings/run_config.ts";
import { shared } from "../settings/run.ts";

/** A value of a setting in a plan; lists are text, as on a command line: `16,32,64`. */
export type Value = string | number | boolean;

/** Training settings by name, and {@linkcode share}. */
export type CellSettings = Readonly<Record<string, Value>>;

const valueField = check<Value>(
  "text, a number, a list of numbers or a switch",
  (value) => [textField, flag, finiteNumber, listOf(finiteNumber)].some((is) => is.accepts(value)),
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

const planFields = defineSettings({
  name: { ...fileName, doc: "name of the study", hint: "NAME" },
  preset: { ...fields.rows.preset, default: "quick" },
  grid: field(tableOf(listOf(valueField)), {}, "an object of lists of values by setting"),
  cells: field(listOf(settingsField), []),
  fixed: field(settingsField, {}),
  seeds: field(
    check<readonly number[]>(
      "a list of at least one seed, each a whole number from 0 to 4294967295, once",
      (value) =>
        listOf(shared.seed).accepts(value) && value.length > 0 && new Set(value).size === value.length,
    ),
    [1, 2, 3],
  ),
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

/** A plan as a user writes it; missing fields have defaults. */
export type GivenPlan = Partial<PlanFields> & { readonly evaluation?: Partial<PlannedEvaluation> };

/**
 * Reads a plan, completes it, and writes equal settings alike, so that equal plans have equal text.
 *
 * @param source of the plan, for errors
 */
export function readPlan(json: unknown, source: string): Plan {
  const { evaluation, grid, cells, fixed, ...plan } = planFields.read(json, source);
  const { name } = plan;
  const plain = (settings: CellSettings, where: string): CellSettings =>
    Object.fromEntries(
      Object.entries(settings).map(([setting, value]) => [
        setting,
        plainValue(setting, settingOf(setting, value, `${where} of ${name}`)),
      ]),
    );
  const axes = Object.entries(grid).map(([setting, listed]): [string, readonly Value[]] => {
    const values = listed.map((value) => plain({ [setting]: value }, "the grid")[setting]);
    if (values.length > 0 && new Set(values).size === values.length) return [setting, values];
    throw new ConfigError(
      `Cannot use the grid of ${name}: ${setting} has ${
        values.join(", ") || "no values"
      } (expected values, each once)`,
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
    cells: cells.map((cell, i) => plain(cell, `cell ${i + 1}`)),
    fixed: plain(fixed, "the fixed settings"),
    evaluation: planEvaluation.write(
      planEvaluation.read(evaluation, `the evaluation of ${source}`),
    ) as PlannedEvaluation,
  };
}

/** The share of the plan's steps that a cell trains for, the one setting that only studies have. */
const share = number({ doc: "share of the steps", above: 0, max: 1 });

/** The value of a setting. @param where it was set, for errors */
function settingOf(name: string, value: Value, where: string): unknown {
  const known: Rows = { ...fields.rows, share };
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

/** A setting as in plans, where lists are text. */
function plainValue(name: string, setting: unknown): Value {
  const row = (fields.rows as Rows)[name];
  const value = row && setting !== null ? written(row, setting) : setting;
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "number" || typeof value === "boolean" ? value : asText(value);
}

/** Maximum number of cells in a study; job arrays of Slurm have no more by default. */
const maxCells = 1000;

/** The settings of a plan's cells: all combinations of its grid, then its own cells. */
export function combinations({ grid, cells, seeds, name }: Plan): CellSettings[] {
  let all: CellSettings[] = Object.keys(grid).length > 0 ? [{}] : [];
  const check = (count: number) => {
    if (count > 0 && count * seeds.length <= maxCells) return;
    throw new ConfigError(
      count === 0
        ? `Cannot run the plan ${name}: it has neither a grid nor cells (expected at least one of them)`
        : `Cannot run the plan ${name}: its grid, cells and seeds give more than 1,000 cells (expected fewer values or seeds)`,
    );
  };
  for (const [setting, values] of Object.entries(grid)) {
    check(all.length * values.length);
    all = all.flatMap((one) => values.map((value) => ({ ...one, [setting]: value })));
  }
  check(all.length + cells.length);
  return [...all, ...cells];
}

/** A network of a study, trained with one seed. */
export const cellFields = fieldsOf({
  /** The name of its folder, e.g. `residual-attention-off-s1`. */
  id: fileName,
  /** The settings in which it differs from the plan. */
  asked: settingsField,
  /** All settings that the plan names. */
  settings: settingsField,
  seed: integer({ doc: "" }),
  steps: integer({ doc: "", min: 1 }),
  /** Digest of the program of a custom network. */
  network: optional({ ...textField, doc: "" }),
});

export type Cell = Checked<typeof cellFields>;

/**
 * The cells of a plan, seed by seed; combinations that mean the same run are one cell. All name the same settings, so
 * that they can be compared. Custom networks must be loaded.
 */
export function cellsOf(plan: Plan): Cell[] {
  const all = combinations(plan);
  const names = new Set([...all, plan.fixed].flatMap(Object.keys));
  const setups = all.map((asked) => {
    const config = configOf(plan, { asked, id: cellId(asked, plan.seeds[0]), seed: 0, steps: 1 });
    const share = Number(asked.share ?? plan.fixed.share ?? 1);
    const steps = Math.max(1, Math.round(plan.steps * share));
    const unused: readonly string[] = isUNet(config.model) ? [] : unetSettings;
    const all = fieldsOfRun(config);
    const valueOf = (name: string): Value =>
      name === "share" ? share : unused.includes(name) ? "none" : plainValue(name, Reflect.get(all, name));
    const settings = Object.fromEntries(Array.from(names, (name) => [name, valueOf(name)]));
    const network = chosenNetwork(config.model)?.digest ?? null;
    return { key: JSON.stringify([configJson(config), steps]), setup: { asked, settings, steps, network } };
  });
  const runs = [...Map.groupBy(setups, ({ key }) => key).values()].map(([{ setup }]) => setup);
  const ids = new Set<string>();
  return plan.seeds.flatMap((seed) =>
    runs.map((setup) => {
      const name = cellId(setup.asked, seed);
      let id = name;
      for (let n = 2; ids.has(id); n++) id = name.replace(/(?=-s\d+$)/, `-${n}`);
      ids.add(id);
      return { id, seed, ...setup };
    })
  );
}

/** Names a cell after the settings it differs in: `residual-attention-off-s1`, `default-s2`. */
function cellId(asked: CellSettings, seed: number): string {
  const slug = (value: Value) => {
    if (typeof value === "boolean") return value ? "on" : "off";
    return String(value).replaceAll(/[^\w.]+/g, "-").replaceAll(/^-+|-+$/g, "");
  };
  const parts = Object.entries(asked).map(([name, value]) =>
    name === "model"
      ? slug(`${value}`.replace(/^.*\//, "").replace(/\.[cm]?[jt]s\b/, ""))
      : `${name === "attn" ? "attention" : flagOf(name).slice(2)}-${slug(value)}`
  );
  return [...parts.length > 0 ? parts : ["default"], `s${seed}`].join("-");
}

/** The settings of a cell's training. Settings that the plan fixes are left out where they have no effect. */
export function configOf(
  { preset, fixed, name }: Plan,
  { asked, id, seed, steps }: Pick<Cell, "asked" | "id" | "seed" | "steps">,
): RunConfig {
  const cell = `${id} of the plan ${name}`;
  const typed = ({ share: _, ...settings }: CellSettings): GivenFields =>
    Object.fromEntries(
      Object.entries(settings).map(([setting, value]) => [setting, settingOf(setting, value, cell)]),
    );
  const common = typed({ sampleEpochs: 0, ...fixed }); // no grids during training, unless the plan wants them
  const own = typed(asked);
  const all = { ...presets[preset], ...common, ...own };
  if (!("model" in all)) {
    const networks = anyOf(fields.rows.model.choices!.map((network) => `model=${network}`));
    throw new ConfigError(
      `Cannot run ${cell}: it does not name a network (expected ${networks} in the plan or on the command line)`,
    );
  }
  const idle = fields.idle(common, all);
  const effective = Object.entries({ ...common, ...own }).filter(([setting]) =>
    setting in own || !idle.includes(setting)
  );
  try {
    const given: GivenFields = { ...Object.fromEntries(effective), seed, maxSteps: steps };
    const { teacher } = given;
    return teacher ? newDistillation(given, teacher, preset) : newTraining(given, preset);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${error.message} (cell ${cell})`);
  }
}

interface BuiltInPlan extends Omit<GivenPlan, "name"> {
  /** What it compares, as one line of `--help`. */
  readonly doc: string;
}

const objectives = { coupling: couplings, times: timeDistributions, prediction: predictions };

/** The plans of the repository by name. */
export const plans: Readonly<Record<string, BuiltInPlan>> = {
  networks: {
    doc: "base against residual, with and without attention; base also as large, or as slow, as residual",
    grid: { model: ["base", "residual"], attn: [false, true] },
    cells: [
      { model: "base", attn: false, filters: "17,33,64" }, // as many parameters as residual
      { model: "base", attn: true, filters: "16,28,64" },
      { model: "base", attn: false, filters: "15,27,58" }, // as many multiply-adds
      { model: "base", attn: true, filters: "14,27,56" },
    ],
    fixed: { filters: "8,16,32" },
  },
  default_run: {
    doc:
      "base against residual at the widths and length of a default run; base also with as many multiply-adds",
    grid: { model: ["base", "residual"] },
    cells: [{ model: "base", filters: "28,58,115" }],
    steps: 5000,
    evaluation: { count: 2000 },
  },
  objectives: {
    doc: "couplings, distributions of t and predictions, varied one at a time",
    cells: [
      {},
      ...Object.entries(objectives).flatMap(([setting, registry]) =>
        Object.keys(registry).map((name): CellSettings => ({ [setting]: name }))
      ),
    ],
    fixed: { model: "residual" },
    evaluation: {
      guidance: 1, // a guided evaluation counts twice
      solvers: [1, 2, 4, 8, 32].map((steps) => `heun:steps=${steps}`), // 2, 4, 8, 16 and 64 evaluations
    },
  },
  groups: {
    doc: "groups of the normalisations; with one channel per group, level 1 does not see t",
    grid: { groups: [1, 2, 4, 8] },
    fixed: { model: "residual", filters: "8,16,32" },
  },
  solvers: {
    doc: "solvers of the flow: sample quality against network evaluations",
    cells: [{}],
    fixed: { model: "residual" },
    evaluation: { guidance: 1, solvers: usualSolvers },
  },
  few_steps: {
    doc: "ways to few evaluations: the mean rule, pairs, and both ways to drift, 19,200 images per method",
    grid: { stages: ["mean", "pairs", "pairs+drift:whole=100", "pairs+drift"] },
    fixed: { model: "residual", teacher: "checkpoints/mnist_classes.safetensors", batchSize: 64 },
    steps: 300,
    evaluation: {
      count: 2000,
      solver: "map:steps=1",
      solvers: [1, 2, 4, 8].map((steps) => `map:steps=${steps}`),
    },
  },
  widths: {
    doc: "how quality grows with parameters and images",
    grid: { filters: ["8,16,32", "12,24,48", "16,32,64", "24,48,96"], share: [0.25, 0.5, 1] },
    fixed: { model: "residual", groups: 4 },
  },
};

export const planNames: readonly string[] = Object.keys(plans);

/** The flags that change a plan, such as the number of seeds; null leaves it. */
type PlanFlags =
  & { readonly preset?: Plan["preset"] | null }
  & {
    readonly [Name in "seeds" | "steps" | "count"]?: number | null;
  };

/**
 * Finds a plan, changes it, and loads its custom networks.
 *
 * @param named a built-in plan, or the path of a JSON file; undefined for a plan of settings alone
 * @param settings as `NAME=VALUE`; one that has several values is varied
 */
export async function findPlan(
  named: string | undefined,
  settings: readonly string[] = [],
  { preset = null, seeds = null, steps = null, count = null }: PlanFlags = {},
): Promise<Plan> {
  const plan = await namedPlan(named);
  const given = Map.groupBy(settings.map(settingIn), ([name]) => name);
  const values = [...given].map(([name, pairs]) => [name, pairs.map(([, value]) => value)] as const);
  const others = (all: object = {}) => Object.entries(all).filter(([name]) => !given.has(name));
  const [varied, fixed] = [
    values.filter(([, { length }]) => length > 1),
    values.filter(([, v]) => v.length === 1),
  ];
  const changed = readPlan({
    ...plan,
    ...preset !== null && { preset },
    ...seeds !== null && { seeds: Array.from({ length: seeds }, (_, i) => i + 1) },
    ...steps !== null && { steps },
    grid: Object.fromEntries([...others(plan.grid), ...varied]),
    fixed: Object.fromEntries([...others(plan.fixed), ...fixed.map(([name, [value]]) => [name, value])]),
    evaluation: { ...plan.evaluation, ...count !== null && { count } },
  }, named ?? "the command line");
  const models = [
    ...changed.grid.model ?? [],
    ...[changed.fixed, ...changed.cells].map(({ model }) => model),
  ];
  for (const text of models) {
    const network = parseNetwork(`${text}`);
    if (network?.kind === "module") await nameNetwork(network.file);
  }
  return changed;
}

/** Whether a word of a command line is a setting. */
export function isSetting(word: string): boolean {
  return /^\w+=/.test(word);
}

function settingIn(word: string): [name: string, value: Value] {
  const [, name, text] = /^(\w+)=(.*)$/s.exec(word)!;
  return [name, text === "true" ? true : text === "false" ? false : text];
}

async function namedPlan(named: string | undefined): Promise<GivenPlan> {
  if (named === undefined) return { name: "grid" };
  if (Object.hasOwn(plans, named)) {
    const { doc: _, ...plan } = plans[named];
    if (plan.fixed?.teacher) await bringFile(`${plan.fixed.teacher}`);
    return { name: named, ...plan };
  }
  if (await Deno.stat(named).then(({ isFile }) => isFile, () => false)) {
    return readPlan({ name: basename(named, ".json"), ...await readJson(named) }, named);
  }
  throw new ConfigError(
    `Cannot find the plan ${named}: there is no such plan, file or folder of a study` +
      (didYouMean(named, planNames) || ` (expected ${anyOf(planNames)}, the path of a plan, or NAME=VALUE)`),
  );
}

/** Copies a network of the repository to where a plan expects it, if the program runs elsewhere. */
async function bringFile(path: string): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  await Deno.mkdir(dirname(path), { recursive: true });
  await writeAtomic(path, await readProgramFile(path));
}
