import { type Dataset, splitImages } from "../data/dataset.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { checkSampleCount } from "../evaluation/evaluation_options.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { nameOfLeftover, reasonOf, RunError, sha256, waitForLock } from "../run/run_folder.ts";
import { dataSettingNames } from "../cli/data.ts";
import { ownModel, unetSettings } from "../cli/model_setting.ts";
import { ConfigError, flagOf } from "../cli/setting.ts";
import type { TrainingConfig } from "../cli/training.ts";
import type { GivenSettings } from "../cli/training_config.ts";
import { modelOptions } from "../training/network.ts";
import { checkCoupling, checkPictures, decideConditional } from "../training/training_data.ts";
import { matchNetwork, networkSize } from "./match_network.ts";
import { type CellSettings, combinations, type Match, plainValue, type Plan, type Value } from "./plan.ts";
import {
  type Cell,
  checkFolders,
  configOf,
  makeStudyFolder,
  readStudy,
  type Study,
  studyFile,
  studyFolder,
  trainedSettings,
  writeStudy,
} from "./study.ts";
import { type StepTiming, timeNetworks, type TimingOptions } from "./time_networks.ts";

export interface PlanningOptions extends TimingOptions {
  /** Measures the time per step; by default {@linkcode timeNetworks}. */
  readonly time?: StepTiming;
  /** Whether to time the steps of all new networks, even if the plan does not need it. */
  readonly timed: boolean;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** A study under its current plan, and the changes. */
export interface PlannedStudy {
  readonly study: Study;
  /** Cells that the earlier plan did not have. */
  readonly added: readonly Cell[];
  /** Cells that are no longer planned; they stay in the study. */
  readonly dropped: readonly Cell[];
  /** The study as stored in the folder. */
  readonly known: Study | undefined;
}

/**
 * Plans a new study in a folder, or continues an existing one. Writes nothing.
 *
 * @throws {ConfigError} if the plan is invalid, or its cells would not be comparable with those of the study
 * @throws {RunError} if the folder contains something else, the study is damaged, or one of its folders is a link
 */
export async function planStudy(folder: string, plan: Plan, options: PlanningOptions): Promise<PlannedStudy> {
  const names = await namesIn(folder); // before reading the study, which another program may be starting
  const known = await readStudy(folder);
  if (known) checkComparable(known, plan);
  else checkIsNew(folder, names);
  const earlier = known?.cells ?? [];
  const { cells, dropped } = await planCells(plan, earlier, options);
  const added = cells.filter(({ id }) => !earlier.some((cell) => cell.id === id));
  const byId = new Map([...cells, ...dropped].map((cell) => [cell.id, cell]));
  const digest = await sha256(new TextEncoder().encode(JSON.stringify(plan)));
  const study = { folder, digest, plan, cells: [...earlier.map(({ id }) => byId.get(id)!), ...added] };
  await checkFolders(study);
  return { study, added, dropped, known };
}

/** The lock of a study's plan; ids of cells cannot start with a dot. */
export const planLock = ".plan";

/**
 * Writes a planned study to its folder.
 *
 * @returns false, with nothing changed, if another program has changed the study since it was planned, or on a signal
 * @throws {RunError} if it cannot be written
 */
export async function saveStudy(
  { study, known }: Pick<PlannedStudy, "study" | "known">,
  { say, signal }: Pick<PlanningOptions, "say" | "signal">,
): Promise<boolean> {
  using lock = await waitForLock(
    await makeStudyFolder(study, "locks"),
    planLock,
    signal,
    (holder) => say(`Waiting to change the plan of ${study.folder}, which ${holder} is changing`),
  );
  if (!lock || JSON.stringify(await readStudy(study.folder)) !== JSON.stringify(known)) return false;
  await writeStudy(study);
  await makeStudyFolder(study, "cells");
  return true;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`Cannot use the folder ${folder}: ${reasonOf(error)}`);
  }
}

/** Checks that a folder contains only files that precede `study.json`, so that results overwrite nothing. */
function checkIsNew(folder: string, names: readonly string[]): void {
  const other = names.find((name) => name !== studyFolder.locks && nameOfLeftover(name) !== studyFile);
  if (other === undefined) return;
  throw new RunError(
    `Cannot start a study in ${folder}: it contains ${other} but no ${studyFile} (expected a new or empty folder); ` +
      "choose another one with --out DIR",
  );
}

function checkComparable({ folder, plan: known }: Study, plan: Plan): void {
  const sorted = (value: object) =>
    Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
  const textOf = (value: object | string) =>
    JSON.stringify(typeof value === "string" ? value : sorted(value));
  for (const field of ["preset", "fixed", "budget", "evaluation"] as const) {
    const [was, is] = [textOf(known[field]), textOf(plan[field])];
    if (was === is) continue;
    throw new ConfigError(
      `Cannot change ${field} of the study ${folder} from ${was} to ${is}: its cells would not be comparable ` +
        "(expected --out DIR of another study)",
    );
  }
}

/**
 * The cells of a plan, seed by seed. Checks each as its run would, finds matching widths, and converts minutes to steps.
 * Needs a device to count networks.
 *
 * @param earlier cells that the study already has; they keep their ids, matched widths and timings
 * @returns the cells, including earlier ones that are no longer planned. All name the same settings, so that they can
 *   be compared
 * @throws {ConfigError} if a setting is unknown, or a cell cannot be trained or evaluated
 * @throws {DataError} if its data cannot be loaded
 */
export async function planCells(
  plan: Plan,
  earlier: readonly Cell[],
  options: PlanningOptions,
): Promise<{ cells: readonly Cell[]; dropped: readonly Cell[] }> {
  const planner = new Planner(plan, earlier, options);
  // Combinations with the same identity are the same run. All are checked before any data is read.
  const asked = Map.groupBy(combinations(plan), (settings) => planner.identityOf(settings));
  const setups: Cell[][] = [];
  for (const [settings] of asked.values()) setups.push(await planner.cellsOf(settings));
  const cells = plan.seeds.flatMap((_, i) => setups.map((cells) => cells[i]));
  const ids = new Set(cells.map(({ id }) => id));
  const all = withSettings(plan, [...cells, ...earlier.filter(({ id }) => !ids.has(id))]);
  return { cells: all.slice(0, cells.length), dropped: all.slice(cells.length) };
}

/** Cells with values for all settings that the plan or any cell names. */
function withSettings(plan: Plan, cells: readonly Cell[]): Cell[] {
  const names = new Set([...cells.map(({ asked }) => asked), plan.fixed].flatMap(Object.keys));
  if (names.has("match")) names.add("filters");
  return cells.map((cell) => {
    const { asked, id: where, seed } = cell;
    const config = configOf(plan, trainedSettings(cell), { seed, steps: 1, where });
    const own: CellSettings = { match: asked.match ?? "none", share: asked.share ?? 1 };
    const unused: readonly string[] = ownModel(config.model) ? unetSettings : [];
    const value = (name: string) =>
      own[name] ?? (unused.includes(name) ? "none" : plainValue(config[name as keyof TrainingConfig]));
    return { ...cell, settings: Object.fromEntries([...names].map((name) => [name, value(name)])) };
  });
}

class Planner {
  readonly #ids: Set<string>;
  /** Cells that the study already has, by identity. */
  readonly #known: ReadonlyMap<string, readonly Cell[]>;
  /** Results shared by several cells, by their inputs. */
  readonly #shared = new Map<string, unknown>();

  constructor(readonly plan: Plan, earlier: readonly Cell[], readonly options: PlanningOptions) {
    this.#ids = new Set(earlier.map(({ id }) => id));
    this.#known = Map.groupBy(earlier, ({ asked }) => this.identityOf(asked));
  }

  /** Text that identifies a run, apart from its seed. @throws {ConfigError} if the settings are invalid */
  identityOf(asked: CellSettings): string {
    const config = configOf(this.plan, asked, { seed: 0, steps: 1, where: this.#nameOf(asked) });
    return JSON.stringify([config, asked.match ?? null, asked.share ?? 1]);
  }

  /** The cells with given settings, one per seed. */
  async cellsOf(asked: CellSettings): Promise<Cell[]> {
    const known = this.#known.get(this.identityOf(asked)) ?? [];
    let found: Omit<Cell, "id" | "seed"> | undefined;
    const cells: Cell[] = [];
    for (const seed of this.plan.seeds) {
      const same = known.find((cell) => cell.seed === seed);
      if (same) {
        cells.push({ ...same, asked });
        continue;
      }
      found ??= await this.#find(asked, known[0]);
      const id = unusedId(cellId(asked, seed), this.#ids);
      this.#ids.add(id);
      cells.push({ id, seed, ...found });
    }
    return cells;
  }

  /** The common fields of cells that differ only in the seed; an existing cell provides widths and timings. */
  async #find(asked: CellSettings, known: Cell | undefined): Promise<Omit<Cell, "id" | "seed">> {
    const { plan, options } = this;
    const { time = (configs, data) => timeNetworks(configs, data, options) } = options;
    const where = this.#nameOf(asked);
    const checked = await this.#checked(known ? trainedSettings({ ...known, asked }) : asked, where);
    const { data } = checked;
    let { config } = checked;
    const network = chosenNetwork(config.model);
    if (!known && asked.match !== undefined) {
      const matched = await matchNetwork(config, asked.match as Match, data, time);
      config = matched.config;
      options.say(`${where.replace(/-s\d+$/, "")}: ${matched.words}`);
    }
    const timed = options.timed || "minutes" in plan.budget;
    const secondsPerStep = timed ? known?.secondsPerStep ?? (await time([config], data))[0] : undefined;
    const steps = "steps" in plan.budget ? plan.budget.steps : plan.budget.minutes * 60 / secondsPerStep!;
    return {
      asked,
      settings: { filters: plainValue(config.filters) }, // withSettings() adds the others
      ...network && { network: network.digest },
      steps: Math.max(1, Math.round(steps * Number(asked.share ?? 1))),
      ...this.#once([
        ...dataKey(config),
        config.conditional,
        modelOptions(config, [data.channels, data.height, data.width]),
      ], () => {
        return networkSize(config, data);
      }),
      ...secondsPerStep !== undefined && { secondsPerStep },
    };
  }

  /** The settings and data of a run, with the checks of its training and evaluation. */
  async #checked(asked: CellSettings, where: string): Promise<{ config: TrainingConfig; data: Dataset }> {
    const { seeds, evaluation: { count, guidance } } = this.plan;
    const given = configOf(this.plan, asked, { seed: seeds[0], steps: 1, where });
    const data = await this.#once(
      ["data", ...dataKey(given)],
      () => loadDataset(given.data ?? undefined, given),
    );
    const config = decideConditional(given, data, () => {});
    checkCoupling(config);
    const classes = config.conditional === true ? data.classes : 0;
    checkPictures(config, [data.channels, data.height, data.width], classes);
    const { seed, valFraction, trainLimit, batchSize } = config;
    const split = ["split", ...dataKey(config), seed, valFraction, trainLimit, batchSize];
    const { train: trained } = this.#once(split, () => splitImages(data.train.count, config));
    checkSampleCount(count, { data, trained });
    if (guidance !== null && guidance !== 1 && classes === 0 && config.guidance === 1) {
      throw new ConfigError(
        `Cannot evaluate with guidance ${guidance}: the network is trained without classes and without early weights ` +
          "for autoguidance (expected guidance 1, or the setting guidance above 1)",
      );
    }
    return { config, data };
  }

  #once<Made>(key: readonly unknown[], make: () => Made): Made {
    return this.#shared.getOrInsertComputed(JSON.stringify(key), make) as Made;
  }

  #nameOf(asked: CellSettings): string {
    return cellId(asked, this.plan.seeds[0]);
  }
}

/** The settings that identify a data set. */
function dataKey(config: GivenSettings): readonly unknown[] {
  return dataSettingNames.map((name) => config[name]);
}

/** Clearer names for settings in ids. */
const idWords: Readonly<Record<string, string>> = { attn: "attention", match: "matched" };

/** Names a cell after its distinguishing settings: `residual-attention-off-s1`, `default-s2`. */
export function cellId(settings: CellSettings, seed: number): string {
  const parts = Object.entries(settings).map(([name, value]) =>
    name === "model"
      ? slug(`${value}`.replace(/^.*\//, "").replace(/\.[cm]?[jt]s\b/, ""))
      : `${idWords[name] ?? flagOf(name).slice(2)}-${slug(value)}`
  );
  return [...parts.length > 0 ? parts : ["default"], `s${seed}`].join("-");
}

function slug(value: Value): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value).replaceAll(/[^\w.]+/g, "-").replaceAll(/^-+|-+$/g, "");
}

/** The id if it is unused, or else with a number before the seed. */
export function unusedId(id: string, taken: ReadonlySet<string>): string {
  let candidate = id;
  for (let n = 2; taken.has(candidate); n++) candidate = id.replace(/(?=-s\d+$)/, `-${n}`);
  return candidate;
}
