import { type ByFigure, type FigureKey, figureKeys, keysOf, meaningOf } from "../evaluation/figures.ts";
import { differingData, heldOutComparable, type LossMeaning } from "../cli/loss_meaning.ts";
import type { FinishedCell } from "./cell_result.ts";
import type { CellSettings, Value } from "./plan.ts";
import type { Cell } from "./study.ts";
import {
  type BySeed,
  meanOverSeeds,
  pairedDifference,
  type SeedDifference,
  type SeedMean,
  shareOverSeeds,
} from "./seed_intervals.ts";

/** A configuration of a network, with the runs of all its seeds and their measurements. */
export interface Setup extends LossMeaning {
  /** Its distinguishing settings, e.g. `residual, no attn`. */
  readonly label: string;
  /** The settings that the plan varies, as written in the plan. */
  readonly asked: CellSettings;
  /** All settings that the plan names. */
  readonly settings: CellSettings;
  readonly parameters: number;
  /** Multiply-adds of one forward pass of one image. */
  readonly multiplyAdds: number;
  /** The results of finished cells. */
  readonly results: readonly FinishedCell[];
  readonly seeds: { readonly planned: number; readonly finished: number };
  /** Mean over seeds; absent if no run is finished. */
  readonly images?: number;
  readonly seconds?: SeedMean;
  readonly figures: ByFigure<SeedMean>;
  /** Quality by solver, cheapest first. */
  readonly costs: readonly (ByFigure<SeedMean> & {
    readonly solver: string;
    /** Network evaluations per sample, averaged over runs. */
    readonly evaluations: number;
  })[];
  /** Quality during training, if all finished seeds measured it. */
  readonly course: readonly (ByFigure<SeedMean> & { readonly images: number; readonly seconds: number })[];
}

/** The effect of one choice: the difference between two setups that differ only in it. */
export interface Difference {
  readonly setting: string;
  /** Labels of the setups: figures are those of a, the later one in the study, minus those of b. */
  readonly a: string;
  readonly b: string;
  /** Cost of a, relative to b. */
  readonly ratio: {
    readonly parameters: number;
    readonly multiplyAdds: number;
    /** Ratio of training times; absent if one setup has no finished run. */
    readonly seconds?: number;
  };
  readonly figures: ByFigure<SeedDifference>;
}

/** All measurements of a study. */
export interface Summary {
  readonly setups: readonly Setup[];
  readonly differences: readonly Difference[];
  /** The figures of the conclusion: the judges' Fréchet distances, with few test images their kernel distances, or without judges the velocity error. */
  readonly primaries: readonly Primary[];
}

/** The figures that a conclusion can be about: the first that was measured. */
const primaryFigures = ["frechet", "kernel", "velocity_error"] as const;

/** A figure that the conclusion is about. */
export interface Primary {
  readonly key: FigureKey;
  /** Its value for real (training) images; only if all setups have the same data. */
  readonly real?: number;
}

/** Summarises the finished runs of a study. */
export function summarizeStudy(cells: readonly Cell[], results: readonly FinishedCell[]): Summary {
  const setups = setupsOf(cells, results);
  const measured =
    primaryFigures.map((name) => keysOf([name]).filter((key) => setups.some(({ figures }) => figures[key])))
      .find((keys) => keys.length > 0) ?? [];
  return {
    setups,
    differences: differencesOf(setups),
    primaries: measured.map((key) => {
      const real = realOf(setups, key);
      return { key, ...real !== undefined && { real } };
    }),
  };
}

/** The mean over all runs that measured it, because each draws its own training images. */
function realOf(setups: readonly Setup[], key: FigureKey): number | undefined {
  if (differingData(setups.flatMap(({ dataset }) => dataset ?? [])).length > 0) return undefined;
  const values = setups.flatMap(({ results }) => results.flatMap(({ real }) => real?.[key] ?? []));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The setups of a study, in its order: each combines the cells that differ only in the seed. */
function setupsOf(cells: readonly Cell[], results: readonly FinishedCell[]): Setup[] {
  const resultOf = new Map(results.map((result) => [result.cell, result]));
  const varied = variedSettings(cells.map(({ asked }) => asked));
  const labels = new Map<string, number>();
  return [...Map.groupBy(cells, ({ settings }) => setupKey(settings)).values()].map((cells) => {
    const [{ asked, settings, parameters, multiplyAdds }] = cells;
    const words = varied.flatMap((name) => name in asked ? [formatSetting(name, asked[name])] : []);
    const label = words.join(", ") || "the preset";
    const count = (labels.get(label) ?? 0) + 1;
    labels.set(label, count);
    const finished = cells.flatMap(({ id }) => resultOf.get(id) ?? []);
    const images = meanOverSeeds(bySeed(finished, ({ images }) => images))?.mean;
    const seconds = meanOverSeeds(bySeed(finished, ({ seconds }) => seconds));
    const dataset = finished.find(({ dataset }) => dataset)?.dataset;
    return {
      label: count === 1 ? label : `${label} (${count})`, // only in a damaged study
      asked,
      settings,
      parameters,
      multiplyAdds,
      results: finished,
      ...dataset && { dataset },
      seeds: { planned: cells.length, finished: finished.length },
      ...images !== undefined && { images },
      ...seconds && { seconds },
      figures: meansOf(finished, ({ figures }) => figures),
      costs: costsOf(finished),
      course: courseOf(finished),
    };
  });
}

/** The seed that most setups have finished; the first one in a tie. */
export function sharedSeed(setups: readonly Setup[]): number | undefined {
  const runs = Map.groupBy(setups.flatMap(({ results }) => results), ({ seed }) => seed);
  const [best] = [...runs].toSorted(([a, x], [b, y]) => y.length - x.length || a - b);
  return best?.[0];
}

/** Formats a setting, e.g. `no attn`, `[16,32,64]` or `batchSize 32`. */
export function formatSetting(name: string, value: Value): string {
  if (name === "match") return `equal ${value}`;
  if (name === "filters") return `[${value}]`;
  if (typeof value === "boolean") return value ? name : `no ${name}`;
  return typeof value === "number" ? `${name} ${value}` : value;
}

/** A key for settings, regardless of their order. */
export function setupKey(settings: CellSettings): string {
  return JSON.stringify(Object.entries(settings).toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** The names of the settings that differ, in order of appearance. */
function variedSettings(all: readonly CellSettings[]): string[] {
  const names = new Set(all.flatMap((settings) => Object.keys(settings)));
  return [...names].filter((name) => new Set(all.map((settings) => settings[name])).size > 1);
}

/** Settings that determine the widths of a matched network, which do not count as a choice. */
const matching: ReadonlySet<string> = new Set(["match", "filters"]);

/** Settings along which quality grows, with their size; a setup is compared only with the next one. */
const growing: ReadonlyMap<string, (setup: Setup) => number> = new Map([
  ["filters", ({ parameters }: Setup) => parameters],
  ["share", ({ settings }: Setup) => Number(settings.share)],
]);

/**
 * All pairs of setups with the same data that differ in one choice; for widths and shares of the budget, only neighbours.
 * A network with matched widths is compared with the network it matches, and with others of its kind that were matched
 * in the same way.
 */
function differencesOf(setups: readonly Setup[]): Difference[] {
  const asked = [...new Set(setups.flatMap(({ asked }) => Object.keys(asked)))];
  const isBetween = (setting: string, size: (setup: Setup) => number, a: Setup, b: Setup) => {
    const [low, high] = [size(a), size(b)].toSorted((x, y) => x - y);
    return setups.some((other) =>
      size(other) > low && size(other) < high && onlyDifference(other, a, asked) === setting
    );
  };
  return setups.flatMap((a, i) =>
    setups.slice(0, i).flatMap((b) => {
      const setting = onlyDifference(a, b, asked);
      const data = [a, b].flatMap(({ dataset }) => dataset ?? []);
      if (setting === undefined || differingData(data).length > 0) return [];
      const size = growing.get(setting);
      return size && isBetween(setting, size, a, b) ? [] : [differenceOf(setting, a, b)];
    })
  );
}

/** The one choice in which two setups differ; settings that the plan does not vary follow from those it varies. */
function onlyDifference(
  { settings: a }: Setup,
  { settings: b }: Setup,
  asked: readonly string[],
): string | undefined {
  const isMatched = ({ match = "none" }: CellSettings) => match !== "none";
  const matched = isMatched(a) || isMatched(b);
  const [choice, ...more] = asked.filter((name) => a[name] !== b[name] && !(matched && matching.has(name)));
  if (more.length > 0) return undefined;
  if (!matched) return choice;
  const fits = choice === "model" ? !isMatched(a) || !isMatched(b) : a.match === b.match;
  return fits ? choice : undefined;
}

function differenceOf(setting: string, a: Setup, b: Setup): Difference {
  const valuesOf = ({ results }: Setup, key: FigureKey) => bySeed(results, ({ figures }) => figures[key]);
  const isComparable = heldOutComparable([a, b]);
  return {
    setting,
    a: a.label,
    b: b.label,
    ratio: {
      parameters: a.parameters / b.parameters,
      multiplyAdds: a.multiplyAdds / b.multiplyAdds,
      ...a.seconds && b.seconds && { seconds: a.seconds.mean / b.seconds.mean },
    },
    figures: figuresOf((key) =>
      key === "velocity_error" && !isComparable
        ? undefined
        : pairedDifference(valuesOf(a, key), valuesOf(b, key))
    ),
  };
}

function figuresOf<Found>(of: (key: FigureKey) => Found | undefined): ByFigure<Found> {
  return Object.fromEntries(
    figureKeys.map((key) => [key, of(key)]).filter(([, found]) => found !== undefined),
  );
}

/** Means over seeds of the figures that `of` takes from each result. */
function meansOf(
  results: readonly FinishedCell[],
  of: (result: FinishedCell) => ByFigure<number | undefined> | undefined,
): ByFigure<SeedMean> {
  return figuresOf((key) =>
    (meaningOf(key).share ? shareOverSeeds : meanOverSeeds)(bySeed(results, (result) => of(result)?.[key]))
  );
}

function bySeed(results: readonly FinishedCell[], of: (result: FinishedCell) => number | undefined): BySeed {
  return new Map(results.flatMap((result) => {
    const value = of(result);
    return value === undefined ? [] : [[result.seed, value]];
  }));
}

function costsOf(results: readonly FinishedCell[]): Setup["costs"] {
  const solvers = new Set(results.flatMap(({ costs = [] }) => costs.map(({ solver }) => solver)));
  return [...solvers].map((solver) => {
    const costOf = ({ costs }: FinishedCell) => costs?.find((cost) => cost.solver === solver);
    const evaluations = meanOverSeeds(bySeed(results, (result) => costOf(result)?.evaluations))!.mean;
    return { solver, evaluations, ...meansOf(results, costOf) };
  }).toSorted((a, b) => a.evaluations - b.evaluations);
}

function courseOf(results: readonly FinishedCell[]): Setup["course"] {
  return (results[0]?.course ?? []).flatMap(({ images }) => {
    const pointOf = ({ course }: FinishedCell) => course?.find((point) => point.images === images);
    const seconds = meanOverSeeds(bySeed(results, (result) => pointOf(result)?.seconds))!;
    const isWhole = seconds.values.length === results.length;
    return isWhole ? [{ images, seconds: seconds.mean, ...meansOf(results, pointOf) }] : [];
  });
}
