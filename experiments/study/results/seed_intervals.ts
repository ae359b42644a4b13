import { bootstrapOfMean } from "./seed_bootstrap.ts";
import { studentQuantile, studentTails } from "./student.ts";

/** A value for each seed, in the order of the seeds. */
export type BySeed = ReadonlyMap<number, number>;

/** The mean over seeds, and how sure it is. */
export interface SeedMean {
  /** The seeds, rising. */
  readonly seeds: readonly number[];
  /** The value of each. */
  readonly values: readonly number[];
  readonly mean: number;
  /** Standard deviation between seeds, from n - 1; none of one seed. */
  readonly deviation?: number;
  /**
   * The 95 % interval of the mean, by Student's t; none of one seed. Exact if values of seeds are normal, whatever their
   * number.
   */
  readonly interval?: Interval;
  /** The 95 % interval by the percentile bootstrap over seeds, which is too narrow for few of them. */
  readonly bootstrap?: Interval;
}

/** The ends of an interval. */
export type Interval = readonly [low: number, high: number];

/** The mean of a difference over the seeds that two cells share. */
export interface SeedDifference extends SeedMean {
  /** The probability of a mean difference at least as large if there were none; none of one seed. */
  readonly chance?: number;
}

const confidence = 0.95;
/** What is smaller, beside the values that it comes of, is what arithmetic rounded away: shares of seeds are often equal. */
const rounding = 1e-12;

/**
 * The mean over seeds with its 95 % interval.
 *
 * @param size of the numbers that the values come of, by default of the largest value
 * @returns undefined without a seed
 *
 * Source: Student 1908, The probable error of a mean
 */
export function meanOverSeeds(values: BySeed, size = largestOf(values)): SeedMean | undefined {
  const n = values.size;
  if (n === 0) return undefined;
  const sorted = [...values].toSorted(([a], [b]) => a - b);
  const list = sorted.map(([, value]) => value);
  const rounded = (value: number) => Math.abs(value) > rounding * size ? value : 0;
  const mean = rounded(list.reduce((sum, value) => sum + value, 0) / n);
  const found = { seeds: sorted.map(([seed]) => seed), values: list, mean };
  if (n === 1) return found;
  const deviation = rounded(
    Math.sqrt(list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1)),
  );
  const half = studentQuantile(confidence, n - 1) * deviation / Math.sqrt(n);
  return { ...found, deviation, interval: [mean - half, mean + half], bootstrap: bootstrapOfMean(list) };
}

/** The mean of a share in [0, 1] over seeds: its interval ends there, too. */
export function shareOverSeeds(shares: BySeed): SeedMean | undefined {
  const found = meanOverSeeds(shares);
  if (!found?.interval) return found;
  const [low, high] = found.interval;
  return { ...found, interval: [Math.max(0, low), Math.min(1, high)] };
}

/**
 * The mean of a - b over the seeds that both have, with its interval. Runs of one seed share the order of their data,
 * noise and times, so that what these do to both cancels.
 *
 * @returns undefined if they share no seed
 */
export function pairedDifference(a: BySeed, b: BySeed): SeedDifference | undefined {
  const differences = [...a].flatMap(([seed, value]) => {
    const other = b.get(seed);
    return other === undefined ? [] : [[seed, value - other] as const];
  });
  const found = meanOverSeeds(new Map(differences), Math.max(largestOf(a), largestOf(b)));
  if (found?.deviation === undefined) return found;
  const { mean, deviation, seeds: { length: n } } = found;
  // Equal differences for all seeds leave no doubt, unless they are 0.
  const chance = mean === 0 ? 1 : studentTails(mean / (deviation / Math.sqrt(n)), n - 1);
  return { ...found, chance };
}

function largestOf(values: BySeed): number {
  return values.values().reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** Whether an interval leaves no room for 0. */
export function excludesZero([low, high]: Interval): boolean {
  return low > 0 || high < 0;
}

/**
 * Which of several differences hold when all of them are counted: the chance of one wrong finding among all stays below 5 %.
 *
 * @param chances of each difference
 * @returns whether each holds
 *
 * Source: Holm 1979, A simple sequentially rejective multiple test procedure
 */
export function holdTogether(chances: readonly number[]): boolean[] {
  const order = [...chances.keys()].toSorted((i, j) => chances[i] - chances[j]);
  const first = order.findIndex((place, i) => chances[place] > (1 - confidence) / (chances.length - i));
  const held = new Set(first < 0 ? order : order.slice(0, first));
  return chances.map((_, i) => held.has(i));
}
