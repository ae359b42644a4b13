/** The cells of a study: the training runs of a plan. */

import { fileName, integer, optional } from "../cli/kinds.ts";
import { ConfigError, flagOf } from "../cli/settings.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { anyOf, type Checked, fieldsOf, textField } from "../run/field_checks.ts";
import { configJson } from "../settings/config_file.ts";
import { type GivenFields, newDistillation, newTraining } from "../settings/decide.ts";
import { isUNet, unetSettings } from "../settings/network.ts";
import { presets } from "../settings/presets.ts";
import { fields, fieldsOfRun, type RunConfig } from "../settings/run_config.ts";
import { type CellSettings, plainValue, type Plan, readSetting, settingsField, type Value } from "./plan.ts";

/** What `study.json` says about a cell. */
export const cellFields = fieldsOf({
  /** The name of its folder, e.g. `residual-attention-off-s1`. */
  id: fileName,
  /** The settings in which it differs from the plan, and all that the plan names, as tables show them. */
  asked: settingsField,
  settings: settingsField,
  seed: integer({ doc: "" }),
  steps: integer({ doc: "", min: 1 }),
  /** Digest of the program of a custom network. */
  network: optional({ ...textField, doc: "" }),
});

/** A network of a study, trained with one seed. */
export type Cell = Checked<typeof cellFields>;

/** A cell of a plan, with the settings to train it. */
export interface PlannedCell {
  readonly cell: Cell;
  readonly set: RunConfig;
}

/**
 * Expands a plan to its cells, seed by seed; combinations that mean the same run are one cell. All name the same
 * settings, so that they can be compared. Custom networks must be loaded.
 */
export function expandPlan(plan: Plan): PlannedCell[] {
  const all = combinations(plan);
  const names = [...new Set([...all, plan.fixed].flatMap(Object.keys))];
  const runs = Map.groupBy(
    all.map((asked) => setupOf(plan, asked, names)),
    ({ set }) => JSON.stringify(configJson(set)),
  );
  const setups = [...runs.values()].map(([setup]) => setup);
  const ids = new Set<string>();
  return plan.seeds.flatMap((seed) =>
    setups.map(({ set, ...setup }) => {
      const name = cellName(setup.asked, seed);
      let id = name;
      for (let n = 2; ids.has(id); n++) id = name.replace(/(?=-s\d+$)/, `-${n}`);
      ids.add(id);
      return { cell: { id, seed, ...setup }, set: { ...set, seed } };
    })
  );
}

/** Maximum number of cells in a study; job arrays of Slurm have no more by default. */
const maxCells = 1000;

/** The settings of a plan's cells: all combinations of its grid, then its own cells. */
export function combinations({ grid, cells, seeds, name }: Plan): CellSettings[] {
  const refuse = (problem: string) => new ConfigError(`Cannot run the plan ${name}: ${problem}`);
  const axes = Object.entries(grid);
  const inGrid = axes.length === 0 ? 0 : axes.reduce((product, [, values]) => product * values.length, 1);
  if (inGrid + cells.length === 0) {
    throw refuse("it has neither a grid nor cells (expected at least one of them)");
  }
  if ((inGrid + cells.length) * seeds.length > maxCells) {
    throw refuse("its grid, cells and seeds give more than 1,000 cells (expected fewer values or seeds)");
  }
  let all: CellSettings[] = inGrid > 0 ? [{}] : [];
  for (const [setting, values] of axes) {
    all = all.flatMap((one) => values.map((value) => ({ ...one, [setting]: value })));
  }
  return [...all, ...cells];
}

/** What the cells of one combination share. @param names all settings that the plan names */
function setupOf(plan: Plan, asked: CellSettings, names: readonly string[]) {
  const share = Number(asked.share ?? plan.fixed.share ?? 1);
  const steps = Math.max(1, Math.round(plan.steps * share));
  const set = settingsOf(plan, asked, steps);
  const values = fieldsOfRun(set);
  const unused: readonly string[] = isUNet(set.model) ? [] : unetSettings;
  const shown = (name: string): Value => {
    if (name === "share") return share;
    return unused.includes(name) ? "none" : shownAs(plainValue(name, Reflect.get(values, name)));
  };
  return {
    asked: Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, shownAs(value)])),
    settings: Object.fromEntries(names.map((name) => [name, shown(name)])),
    steps,
    network: chosenNetwork(set.model)?.digest ?? null,
    set,
  };
}

/** The settings of a combination's training. Settings that the plan fixes are left out where they have no effect. */
function settingsOf({ name, preset, fixed, seeds: [seed] }: Plan, asked: CellSettings, steps: number) {
  const cell = `${cellName(asked, seed)} of the plan ${name}`;
  const own = readSettings(asked, cell);
  const common = readSettings({ sampleEpochs: 0, ...fixed }, cell); // no grids, unless the plan wants them
  const all = { ...presets[preset], ...common, ...own };
  if (!("model" in all)) {
    const networks = anyOf(fields.rows.model.choices!.map((network) => `model=${network}`));
    throw new ConfigError(
      `Cannot run ${cell}: it does not name a network (expected ${networks} in the plan or on the command line)`,
    );
  }
  const idle = fields.idle(common, all);
  const effective = Object.entries(common).filter(([setting]) => !idle.includes(setting));
  try {
    const given: GivenFields = { ...Object.fromEntries(effective), ...own, seed, maxSteps: steps };
    const { teacher } = given;
    return teacher ? newDistillation(given, teacher, preset) : newTraining(given, preset);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${error.message} (cell ${cell})`);
  }
}

/** The settings of a combination as values, without the share of its steps. */
function readSettings({ share: _, ...settings }: CellSettings, cell: string): GivenFields {
  const values = Object.entries(settings).map(([name, value]) => [name, readSetting(name, value, cell)]);
  return Object.fromEntries(values);
}

/** A setting as tables show it, where lists are text. */
function shownAs(value: Value): Value {
  return Array.isArray(value) ? value.join(",") : value;
}

/** Names a cell after the settings it differs in: `residual-attention-off-s1`, `default-s2`. */
function cellName(asked: CellSettings, seed: number): string {
  const parts = Object.entries(asked).map(([name, value]) => {
    if (name === "model") return slug(`${value}`.replace(/^.*\//, "").replace(/\.[cm]?[jt]s\b/, ""));
    return `${name === "attn" ? "attention" : flagOf(name).slice(2)}-${slug(value)}`;
  });
  return [...parts.length > 0 ? parts : ["default"], `s${seed}`].join("-");
}

function slug(value: Value): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value).replaceAll(/[^\w.]+/g, "-").replaceAll(/^-+|-+$/g, "");
}

/** Formats a setting, e.g. `no attn`, `[16,32,64]` or `batchSize 32`. */
export function formatSetting(name: string, value: Value): string {
  if (name === "filters") return `[${value}]`;
  if (typeof value === "boolean") return value ? name : `no ${name}`;
  return typeof value === "number" ? `${name} ${value}` : String(value);
}
