/** What the finished cells of a study say: means over seeds, and differences between setups. */

import { join } from "node:path";
import { type ByFigure, figureKeys, keysOf, meaningOf } from "../evaluation/figures.ts";
import { readFields } from "../run/run_folder.ts";
import {
  count,
  type Fields,
  fieldsOf,
  finiteNumber,
  listOf,
  tableOf,
  textField,
} from "../run/field_checks.ts";
import { differingData, heldOutComparable, type LossMeaning } from "../settings/comparable_losses.ts";
import { type Cell, type CellSettings, settingsField, type Value } from "./plan.ts";
import { cellFolder, type Study } from "./study.ts";

/** The file in a cell's folder with its result. */
export const resultFile = "cell.json";

/** Values of figures by key, such as `frechet`. */
const figures = tableOf(finiteNumber);

const resultFields = {
  cell: textField,
  settings: settingsField,
  seed: count,
  parameters: count,
  /** Multiply-adds of one forward pass of one image. */
  multiplyAdds: count,
  /** Training images, counting repeats. */
  images: count,
  /** Duration of training. */
  seconds: finiteNumber,
  /** The data and its digest. */
  dataset: fieldsOf({ name: textField, digest: textField }),
  figures,
  /** The same figures of real images. */
  real: figures,
  /** Quality by each solver of the plan. */
  solvers: listOf(fieldsOf({ spec: textField, evaluations: finiteNumber, figures })),
  /** Quality at the milestones of training, and at its end; empty without milestones. */
  course: listOf(fieldsOf({ images: count, seconds: finiteNumber, figures })),
};

/** The measurements of a finished cell. */
export type CellResult = Fields<typeof resultFields>;

/** The result of a cell; undefined if it is not finished. */
export async function readResult(study: Study, cell: Cell): Promise<CellResult | undefined> {
  const path = join(cellFolder(study, cell), resultFile);
  return await readFields(path, resultFields, "delete the file, and the study will measure the cell again");
}

/** The results of the finished cells, in the order of the study. */
export async function readResults(study: Study): Promise<CellResult[]> {
  const results = [];
  for (const cell of study.cells) results.push(await readResult(study, cell));
  return results.filter((result) => result !== undefined);
}

/** Values by seed. */
export type BySeed = ReadonlyMap<number, number>;

/** The ends of an interval. */
export type Interval = readonly [low: number, high: number];

/** A mean over seeds. */
export interface SeedMean {
  /** Ascending, with the value of each. */
  readonly seeds: readonly number[];
  readonly values: readonly number[];
  readonly mean: number;
  /** The 95 % interval of the mean by Student's t, exact for normal values; absent for one seed. */
  readonly interval?: Interval;
}

/**
 * The mean over seeds with its 95 % interval.
 *
 * @param size of the numbers that the values were computed from; by default the largest value
 * @returns undefined if there are no seeds
 *
 * Source: Student 1908, The probable error of a mean
 */
export function meanOverSeeds(bySeed: BySeed, size = largestOf(bySeed)): SeedMean | undefined {
  const n = bySeed.size;
  if (n === 0) return undefined;
  const seeds = [...bySeed.keys()].toSorted((a, b) => a - b);
  const values = seeds.map((seed) => bySeed.get(seed)!);
  // Seeds often have equal shares of samples, which differ by rounding alone.
  const rounded = (value: number) => Math.abs(value) > 1e-12 * size ? value : 0;
  const mean = rounded(values.reduce((sum, value) => sum + value, 0) / n);
  if (n === 1) return { seeds, values, mean };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const half = studentQuantile(n - 1) * rounded(Math.sqrt(squares / (n - 1))) / Math.sqrt(n);
  return { seeds, values, mean, interval: [mean - half, mean + half] };
}

/**
 * The mean of a - b over the seeds that both have. Runs of one seed share the order of their data, noise and times, so
 * common effects cancel.
 *
 * @returns undefined if they share no seed
 */
export function pairedDifference(a: BySeed, b: BySeed): SeedMean | undefined {
  const shared = [...a].filter(([seed]) => b.has(seed));
  const differences = new Map(shared.map(([seed, value]) => [seed, value - b.get(seed)!]));
  return meanOverSeeds(differences, Math.max(largestOf(a), largestOf(b)));
}

function largestOf(values: BySeed): number {
  return Math.max(0, ...values.values().map(Math.abs));
}

export function excludesZero([low, high]: Interval): boolean {
  return low > 0 || high < 0;
}

/** The bound that the absolute value of Student's t exceeds with a probability of 5 %. */
export function studentQuantile(freedom: number): number {
  let [low, high] = [0, 13]; // 12.7 for one degree of freedom
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentTails(middle, freedom) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The probability that Student's t is further from 0 than `t`.
 *
 * @param freedom degrees of freedom, an integer of at least 1
 *
 * Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4
 */
function studentTails(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sine, square] = [Math.sin(angle), Math.cos(angle) ** 2];
  // The series of cosines: 1 + 1/2 c^2 + 3/8 c^4 + ... for even degrees, c + 2/3 c^3 + ... for odd ones.
  const odd = freedom % 2 === 1;
  let [term, sum] = [odd ? Math.cos(angle) : 1, 0];
  for (let k = odd ? 1 : 0; k < freedom - 1; k += 2) {
    sum += term;
    term *= square * (k + 1) / (k + 2);
  }
  return 1 - (odd ? (angle + sine * sum) * 2 / Math.PI : sine * sum);
}

/** Means of figures over seeds. */
interface Figures {
  readonly figures: ByFigure<SeedMean>;
}

/** One combination of the settings that a plan varies, with the results of its finished seeds. */
export interface Setup
  extends LossMeaning, Partial<Pick<CellResult, "parameters" | "multiplyAdds" | "images">> {
  /** Its distinguishing settings, e.g. `residual, no attn`. */
  readonly label: string;
  /** The settings in which it differs from the plan, and all that the plan names. */
  readonly asked: CellSettings;
  readonly settings: CellSettings;
  /** Number of its seeds. */
  readonly planned: number;
  readonly results: readonly CellResult[];
  /** Absent if no seed is finished, as are those of the first one. */
  readonly seconds?: SeedMean;
  readonly figures: ByFigure<SeedMean>;
  /** Quality by solver, cheapest first, with the mean number of network evaluations per sample. */
  readonly solvers: readonly (Omit<CellResult["solvers"][number], "figures"> & Figures)[];
  /** Quality during training, as far as all finished seeds measured it. */
  readonly course: readonly (Omit<CellResult["course"][number], "figures"> & Figures)[];
}

/** The effect of one choice: the difference between two setups that differ only in it. */
export interface Difference extends Figures {
  /** Labels: figures are those of a, the later one in the study, minus those of b. */
  readonly a: string;
  readonly b: string;
  /** Cost of a, relative to b. */
  readonly ratio: Readonly<Record<"parameters" | "multiplyAdds" | "seconds", number>>;
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
  const measured = (["frechet", "kernel", "velocity_error"] as const).map((name) =>
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
  const names = new Set(all.flatMap(([{ asked }]) => Object.keys(asked)));
  const varied = [...names].filter((name) => new Set(all.map(([{ asked }]) => asked[name])).size > 1);
  return all.map((cells) => {
    const [{ asked, settings }] = cells;
    const words = varied.flatMap((name) => name in asked ? [formatSetting(name, asked[name])] : []);
    const finished = results.filter(({ cell }) => cells.some(({ id }) => id === cell));
    const [first] = finished;
    return {
      label: words.join(", ") || "the preset",
      asked,
      settings,
      planned: cells.length,
      results: finished,
      parameters: first?.parameters,
      multiplyAdds: first?.multiplyAdds,
      images: first?.images,
      dataset: first?.dataset,
      seconds: meanOverSeeds(bySeed(finished, ({ seconds }) => seconds)),
      figures: meansOf(finished, ({ figures }) => figures),
      solvers: (first?.solvers ?? []).map(({ spec }) => {
        const by = ({ solvers }: CellResult) => solvers.find((solver) => solver.spec === spec);
        const evaluations = meanOverSeeds(bySeed(finished, (result) => by(result)?.evaluations))!.mean;
        return { spec, evaluations, figures: meansOf(finished, (result) => by(result)?.figures) };
      }).toSorted((a, b) => a.evaluations - b.evaluations),
      course: (first?.course ?? []).map(({ images }) => {
        const at = ({ course }: CellResult) => course.find((point) => point.images === images);
        const seconds = meanOverSeeds(bySeed(finished, (result) => at(result)?.seconds))!.mean;
        return { images, seconds, figures: meansOf(finished, (result) => at(result)?.figures) };
      }),
    };
  });
}

/** Formats a setting, e.g. `no attn`, `[16,32,64]` or `batchSize 32`. */
export function formatSetting(name: string, value: Value): string {
  if (name === "filters") return `[${value}]`;
  if (typeof value === "boolean") return value ? name : `no ${name}`;
  return typeof value === "number" ? `${name} ${value}` : value;
}

function bySeed(results: readonly CellResult[], of: (result: CellResult) => number | undefined): BySeed {
  return new Map(results.flatMap((result) => {
    const value = of(result);
    return value === undefined ? [] : [[result.seed, value]];
  }));
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
  filters: ({ parameters = NaN }) => parameters,
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
  return setups.flatMap((a, i) =>
    setups.slice(0, i).flatMap((b) => {
      const choice = choiceOf(a, b);
      const data = [a, b].flatMap(({ dataset }) => dataset ?? []);
      if (choice === undefined || differingData(data).length > 0) return [];
      const size = growing[choice];
      const isBetween = (other: Setup) =>
        size !== undefined && (size(other) - size(a)) * (size(other) - size(b)) < 0 &&
        choiceOf(other, a) === choice;
      return setups.some(isBetween) ? [] : [differenceOf(a, b)];
    })
  );
}

function differenceOf(a: Setup, b: Setup): Difference {
  const ratio = (of: (setup: Setup) => number | undefined) => (of(a) ?? NaN) / (of(b) ?? NaN);
  const valuesOf = ({ results }: Setup, key: string) => bySeed(results, ({ figures }) => figures[key]);
  const isComparable = heldOutComparable([a, b]);
  return {
    a: a.label,
    b: b.label,
    ratio: {
      parameters: ratio(({ parameters }) => parameters),
      multiplyAdds: ratio(({ multiplyAdds }) => multiplyAdds),
      seconds: ratio(({ seconds }) => seconds?.mean),
    },
    figures: figuresOf((key) =>
      key === "velocity_error" && !isComparable
        ? undefined
        : pairedDifference(valuesOf(a, key), valuesOf(b, key))
    ),
  };
}
