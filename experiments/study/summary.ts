/** What the finished cells of a study say: means over seeds, and differences between setups. */

import { differingData, heldOutComparable, type LossData } from "../settings/comparable_losses.ts";
import { type ByFigure, figureKeys, keysOf, meaningOf } from "../evaluation/figures.ts";
import { type Cell, formatSetting } from "./cells.ts";
import { type ByCost, byCost } from "./columns.ts";
import type { CellSettings } from "./plan.ts";
import type { CellResult } from "./results.ts";
import { type BySeed, meanOverSeeds, pairedDifference, type SeedMean } from "./seed_means.ts";

/** Means of figures over seeds. */
export interface Figures {
  readonly figures: ByFigure<SeedMean>;
}

/** One combination of the settings that a plan varies, with the results of its finished seeds. */
export interface Setup extends Figures {
  /** Its distinguishing settings, e.g. `residual, no attn`. */
  readonly label: string;
  /** The settings in which it differs from the plan, and all that the plan names. */
  readonly asked: CellSettings;
  readonly settings: CellSettings;
  /** Steps of training. */
  readonly steps: number;
  /** Number of its seeds. */
  readonly planned: number;
  readonly results: readonly CellResult[];
  readonly costs: ByCost<SeedMean>;
  /** The data of its first finished seed. */
  readonly dataset?: LossData;
  /** Quality by solver, cheapest first, with the mean number of network evaluations per sample. */
  readonly solvers: readonly (Figures & { readonly spec: string; readonly evaluations: number })[];
  /** Quality after these steps of training. */
  readonly milestones: readonly (Figures & { readonly step: number })[];
}

/** The effect of one choice: the difference between two setups that differ only in it. */
export interface Difference extends Figures {
  /** Labels: figures are those of a, the later one in the study, minus those of b. */
  readonly a: string;
  readonly b: string;
  /** Costs of a, relative to b. */
  readonly ratio: ByCost<number>;
}

/** All measurements of a study. */
export interface Summary {
  readonly setups: readonly Setup[];
  readonly differences: readonly Difference[];
  /** The figures of the conclusion, and their values for real images if all setups have the same data. */
  readonly primaries: readonly { readonly key: string; readonly real?: number }[];
}

/** Summarises the finished cells of a study. */
export function summarizeStudy(cells: readonly Cell[], results: readonly CellResult[]): Summary {
  const setups = setupsOf(cells, results);
  const measured = ["frechet", "kernel", "velocity_error"].map((name) =>
    keysOf([name]).filter((key) => setups.some(({ figures }) => figures[key]))
  );
  const isSame = differingData(results.map(({ dataset }) => dataset)).length === 0;
  return {
    setups,
    differences: differencesOf(setups),
    primaries: (measured.find(({ length }) => length > 0) ?? []).map((key) => {
      const values = results.flatMap(({ real }) => real[key] ?? []);
      const real = meanOverSeeds(new Map(values.entries()));
      return { key, real: isSame ? real?.mean : undefined };
    }),
  };
}

/** The setups of a study, in its order: the cells that differ only in the seed. */
function setupsOf(cells: readonly Cell[], results: readonly CellResult[]): Setup[] {
  const all = [...Map.groupBy(cells, ({ settings }) => JSON.stringify(settings)).values()];
  const names = [...new Set(all.flatMap(([{ asked }]) => Object.keys(asked)))];
  const varied = names.filter((name) => new Set(all.map(([{ asked }]) => asked[name])).size > 1);
  return all.map((cells) => {
    const [{ asked, settings, steps }] = cells;
    const words = varied.flatMap((name) => name in asked ? [formatSetting(name, asked[name])] : []);
    const finished = results.filter(({ cell }) => cells.some(({ id }) => id === cell.id));
    const [first] = finished;
    const solvers = (first?.solvers ?? []).map(({ spec }) => {
      const by = ({ solvers }: CellResult) => solvers.find((solver) => solver.spec === spec);
      const evaluations = meanOverSeeds(bySeed(finished, (result) => by(result)?.evaluations))!.mean;
      return { spec, evaluations, figures: meansOf(finished, (result) => by(result)?.figures) };
    });
    const milestones = (first?.milestones ?? []).map(({ step }) => {
      const at = ({ milestones }: CellResult) => milestones.find((milestone) => milestone.step === step);
      return { step, figures: meansOf(finished, (result) => at(result)?.figures) };
    });
    return {
      label: words.join(", ") || "the preset",
      asked,
      settings,
      steps,
      planned: cells.length,
      results: finished,
      costs: byCost((name) => meanOverSeeds(bySeed(finished, ({ costs }) => costs[name]))),
      dataset: first?.dataset,
      figures: meansOf(finished, ({ figures }) => figures),
      solvers: solvers.toSorted((a, b) => a.evaluations - b.evaluations),
      milestones,
    };
  });
}

function bySeed(results: readonly CellResult[], of: (result: CellResult) => number | undefined): BySeed {
  const values = new Map<number, number>();
  for (const result of results) {
    const value = of(result);
    if (value !== undefined) values.set(result.cell.seed, value);
  }
  return values;
}

/** Means over seeds of the figures that `of` takes from each result; intervals of shares stay within 0 and 1. */
function meansOf(
  results: readonly CellResult[],
  of: (result: CellResult) => ByFigure<number> | undefined,
): ByFigure<SeedMean> {
  return figuresOf((key) => {
    const found = meanOverSeeds(bySeed(results, (result) => of(result)?.[key]));
    if (!found?.interval || !meaningOf(key).share) return found;
    const [low, high] = found.interval;
    return { ...found, interval: [Math.max(0, low), Math.min(1, high)] };
  });
}

function figuresOf(of: (key: string) => SeedMean | undefined): ByFigure<SeedMean> {
  const found = figureKeys.map((key) => [key, of(key)] as const);
  return Object.fromEntries(found.filter(([, mean]) => mean !== undefined));
}

/** Settings along which quality grows, with their size: a setup is compared only with the next one. */
const growing: { readonly [setting: string]: ((setup: Setup) => number) | undefined } = {
  filters: ({ costs }) => costs.parameters?.mean ?? NaN,
  share: ({ settings }) => Number(settings.share),
};

/** All pairs of setups with the same data that differ in one choice. */
function differencesOf(setups: readonly Setup[]): Difference[] {
  const names = [...new Set(setups.flatMap(({ asked }) => Object.keys(asked)))];
  const differing = (a: Setup, b: Setup) => names.filter((name) => a.settings[name] !== b.settings[name]);
  const isAlone = (a: Setup) => !setups.some((b) => `${differing(a, b)}` === "model");
  const choiceOf = (a: Setup, b: Setup): string | undefined => {
    const [choice, other, ...more] = differing(a, b).sort();
    if (other === undefined) return choice;
    // Widths that the other model has not, such as those of the same size, belong to the choice of the model.
    const isModel = choice === "filters" && other === "model" && more.length === 0;
    return isModel && (isAlone(a) || isAlone(b)) ? other : undefined;
  };
  /** Whether another setup lies between two that differ in a growing setting. */
  const isApart = (a: Setup, b: Setup, choice: string) => {
    const size = growing[choice];
    if (!size) return false;
    return setups.some((other) =>
      (size(other) - size(a)) * (size(other) - size(b)) < 0 && choiceOf(other, a) === choice
    );
  };
  const differences: Difference[] = [];
  for (const [i, a] of setups.entries()) {
    for (const b of setups.slice(0, i)) {
      const choice = choiceOf(a, b);
      const hasOtherData = differingData([a, b].flatMap(({ dataset }) => dataset ?? [])).length > 0;
      if (choice === undefined || hasOtherData || isApart(a, b, choice)) continue;
      differences.push(differenceOf(a, b));
    }
  }
  return differences;
}

function differenceOf(a: Setup, b: Setup): Difference {
  const valuesOf = ({ results }: Setup, key: string) => bySeed(results, ({ figures }) => figures[key]);
  const isComparable = heldOutComparable([a, b]);
  return {
    a: a.label,
    b: b.label,
    ratio: byCost((name) => {
      const cost = a.costs[name];
      const other = b.costs[name];
      return cost && other && cost.mean / other.mean;
    }),
    figures: figuresOf((key) => {
      if (key === "velocity_error" && !isComparable) return undefined;
      return pairedDifference(valuesOf(a, key), valuesOf(b, key));
    }),
  };
}
