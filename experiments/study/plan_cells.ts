import type { TrainingConfig } from "../settings/training.ts";
import type { Dataset } from "../data/dataset.ts";
import { cellId, withoutClash, withoutSeed } from "./cell_id.ts";
import { configOf, type Match, plainValue } from "./cell_settings.ts";
import { combinations } from "./combinations.ts";
import { type Matched, matchWidths, nudged } from "./match_widths.ts";
import { checkedWithData, networkSize, PlanData } from "./planned_cell.ts";
import type { CellSettings, Plan } from "./plan.ts";
import { type Cell, trainedSettings } from "./study.ts";
import { timeSteps, type TimingOptions } from "./time_step.ts";

/** What planning needs besides the plan. */
export interface PlanningOptions extends TimingOptions {
  /** Cells that the study has already; what was found for them is kept. */
  readonly earlier: readonly Cell[];
  /** Times steps; by default as {@linkcode timeSteps} does. */
  readonly time?: typeof timeSteps;
  /** Whether the steps of all networks are timed, not only where the plan needs it. */
  readonly timed: boolean;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** What is found of a combination of settings, whatever the seed. */
interface Found {
  readonly config: TrainingConfig;
  readonly parameters: number;
  readonly multiplyAdds: number;
  readonly secondsPerStep?: number;
}

/** Timings of bisection: each takes a second or two. */
const timings = 9;

/** The cells of a plan, and what an earlier one has left. All have the same settings, so that they can be compared. */
export interface PlannedCells {
  /** What the plan asks for, seed by seed; known ones keep their ids, and what was found for them. */
  readonly cells: readonly Cell[];
  /** Known cells that the plan does not ask for. */
  readonly dropped: readonly Cell[];
}

/**
 * The cells of a plan, seed by seed: checks each of them as its run would, finds widths that match, and makes minutes a
 * number of steps. Needs a device, to count networks on.
 *
 * @throws {ConfigError} if a setting is unknown, or a cell cannot be trained or evaluated
 * @throws {DataError} if its data cannot be loaded
 */
export async function planCells(plan: Plan, options: PlanningOptions): Promise<PlannedCells> {
  const asked = combinations(plan);
  const planner = new Planner(plan, asked, options);
  for (const settings of asked) planner.check(settings); // all of them, before any data is read
  const cells: Cell[] = [];
  for (const seed of plan.seeds) {
    for (const settings of asked) {
      const cell = await planner.cell(settings, seed);
      if (!cells.some(({ id }) => id === cell.id)) cells.push(cell);
    }
  }
  const dropped: Cell[] = [];
  for (const known of options.earlier) {
    if (!cells.some(({ id }) => id === known.id)) dropped.push(await planner.named(known, known.asked));
  }
  return { cells, dropped };
}

class Planner {
  readonly #data = new PlanData();
  readonly #found = new Map<string, Promise<Found>>();
  /** Names of the settings that some cell asks for, or that are fixed. */
  readonly #names: ReadonlySet<string>;
  /** Cells by what makes them what they are. */
  readonly #cells: Map<string, Cell>;
  /** Of these one for each setup, whatever its seed: what was found for it holds for its other seeds. */
  readonly #setups: Map<string, Cell>;

  constructor(readonly plan: Plan, asked: readonly CellSettings[], readonly options: PlanningOptions) {
    const all = [...asked, ...options.earlier.map(({ asked }) => asked), plan.fixed];
    const names = new Set(all.flatMap((settings) => Object.keys(settings)));
    if (names.has("match")) names.add("filters");
    this.#names = names;
    const earlier = (seedOf: (cell: Cell) => number) =>
      new Map(options.earlier.map((cell) => [this.#identity(cell.asked, seedOf(cell)), cell]));
    this.#cells = earlier(({ seed }) => seed);
    this.#setups = earlier(() => 0);
  }

  /** @throws {ConfigError} if no run has these settings */
  check(asked: CellSettings): void {
    this.#identity(asked, this.plan.seeds[0]);
  }

  async cell(asked: CellSettings, seed: number): Promise<Cell> {
    const identity = this.#identity(asked, seed);
    const known = this.#cells.get(identity);
    if (known) return await this.named(known, asked);
    const where = cellId(asked, seed);
    const key = this.#identity(asked, 0);
    const finding = this.#found.get(key) ?? this.#find(asked, where);
    this.#found.set(key, finding);
    const { config, ...network } = await finding;
    const taken = this.#cells.values().map(({ id }) => id).toArray();
    const cell: Cell = {
      id: withoutClash(where, taken),
      asked,
      settings: this.#settings(asked, config),
      ...{ seed, steps: this.#steps(asked, network.secondsPerStep), ...network },
    };
    this.#cells.set(identity, cell);
    return cell;
  }

  /** A known cell with the settings that all cells have now, as it is asked for now; widths that were found stay. */
  async named(known: Cell, asked: CellSettings): Promise<Cell> {
    const cell = { ...known, asked };
    if (this.#names.symmetricDifference(new Set(Object.keys(cell.settings))).size === 0) return cell;
    const config = await this.#checked(trainedSettings(cell), cell.id);
    return { ...cell, settings: this.#settings(asked, config) };
  }

  /** Two cells with one identity would be the same run. */
  #identity(asked: CellSettings, seed: number): string {
    const config = configOf(this.plan, asked, { seed, steps: 1, where: cellId(asked, seed) });
    return JSON.stringify([config, asked.match ?? null, asked.share ?? 1]);
  }

  async #find(asked: CellSettings, where: string): Promise<Found> {
    const { plan, options } = this;
    const known = this.#setups.get(this.#identity(asked, 0));
    const settings = known ? trainedSettings({ ...known, asked }) : asked;
    const checked = await this.#checked(settings, where);
    const data = await this.#data.of(checked);
    const config = known || asked.match === undefined
      ? checked
      : await this.#matched(checked, asked.match as Match, where);
    const timed = options.timed || "minutes" in plan.budget;
    return {
      config,
      ...networkSize(config, data),
      ...timed && { secondsPerStep: known?.secondsPerStep ?? (await this.#time([config], data))[0] },
    };
  }

  /** The settings of a run, before widths are found that match. */
  async #checked(asked: CellSettings, where: string): Promise<TrainingConfig> {
    const { plan } = this;
    const given = configOf(plan, asked, { seed: plan.seeds[0], steps: 1, where });
    return checkedWithData(given, await this.#data.of(given), plan.evaluation);
  }

  /** The network widened, or narrowed, until it has as much as the other one. */
  async #matched(config: TrainingConfig, match: Match, where: string): Promise<TrainingConfig> {
    const data = await this.#data.of(config);
    const other = { ...config, model: config.model === "base" ? "residual" as const : "base" as const };
    const at = (filters: readonly number[]) => ({ ...config, filters });
    const sizes = { parameters: "parameters", arithmetic: "multiplyAdds" } as const;
    let [matched, shown]: [Matched | undefined, string] = [undefined, ""];
    if (match === "time") {
      const ratio = async (filters: readonly number[]) => {
        const [own, others] = await this.#time([at(filters), other], data);
        return own / others;
      };
      matched = await matchWidths(config, ratio, timings);
      shown = "the time of a step";
    } else {
      const target = networkSize(other, data)[sizes[match]];
      const ratio = (filters: readonly number[]) => networkSize(at(filters), data)[sizes[match]] / target;
      matched = await nudged(config, ratio, await matchWidths(config, ratio));
      shown = `${target.toLocaleString("en")} ${match === "parameters" ? "parameters" : "multiply-adds"}`;
    }
    this.options.say(
      `${withoutSeed(where)}: filters ${matched.filters} have ${
        matched.ratio.toFixed(3)
      } times ${shown} of the ` +
        `${other.model} network with ${config.filters}`,
    );
    return at(matched.filters);
  }

  #time(configs: readonly TrainingConfig[], data: Dataset): Promise<number[]> {
    const { time = timeSteps, ...options } = this.options;
    return time(configs, data, options);
  }

  #steps({ share = 1 }: CellSettings, secondsPerStep: number | undefined): number {
    const { budget } = this.plan;
    const steps = "steps" in budget ? budget.steps : budget.minutes * 60 / secondsPerStep!;
    return Math.max(1, Math.round(steps * Number(share)));
  }

  /** All settings that are named, complete, so that cells can be compared. */
  #settings(asked: CellSettings, config: TrainingConfig): CellSettings {
    const own: CellSettings = { match: asked.match ?? "none", share: asked.share ?? 1 };
    return Object.fromEntries(
      this.#names.values().map((name) => {
        return [name, name in own ? own[name] : plainValue(config[name as keyof TrainingConfig])];
      }),
    );
  }
}
