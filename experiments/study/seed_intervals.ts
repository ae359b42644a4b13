import { meanEstimate } from "../../models/mod.ts";

/** Values by seed. */
export type BySeed = ReadonlyMap<number, number>;

/** The ends of an interval. */
export type Interval = readonly [low: number, high: number];

/** A mean over seeds, and its uncertainty. */
export interface SeedMean {
  /** Ascending. */
  readonly seeds: readonly number[];
  /** The value of each seed. */
  readonly values: readonly number[];
  readonly mean: number;
  /** Sample standard deviation over seeds (n - 1); absent for one seed. */
  readonly deviation?: number;
  /** The 95 % interval of the mean by Student's t, exact for normal values; absent for one seed. */
  readonly interval?: Interval;
  /** The 95 % interval by the percentile bootstrap over seeds, which is too narrow for few seeds. */
  readonly bootstrap?: Interval;
}

/** The mean of a difference over the seeds that two setups share. */
export interface SeedDifference extends SeedMean {
  /** Two-sided p-value of the mean difference; absent for one seed. */
  readonly chance?: number;
}

const confidence = 0.95;
/** Relative bound on rounding errors: smaller means and deviations count as 0, because seeds often have equal shares. */
const rounding = 1e-12;

/**
 * The mean over seeds with its 95 % interval.
 *
 * @param size the magnitude of the numbers that the values were computed from; by default the largest value
 * @returns undefined if there are no seeds
 *
 * Source: Student 1908, The probable error of a mean
 */
export function meanOverSeeds(bySeed: BySeed, size = largestOf(bySeed)): SeedMean | undefined {
  const n = bySeed.size;
  if (n === 0) return undefined;
  const seeds = [...bySeed.keys()].toSorted((a, b) => a - b);
  const values = seeds.map((seed) => bySeed.get(seed)!);
  const rounded = (value: number) => Math.abs(value) > rounding * size ? value : 0;
  const mean = rounded(values.reduce((sum, value) => sum + value, 0) / n);
  if (n === 1) return { seeds, values, mean };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = rounded(Math.sqrt(squares / (n - 1)));
  const half = studentQuantile(confidence, n - 1) * deviation / Math.sqrt(n);
  const interval: Interval = [mean - half, mean + half];
  return { seeds, values, mean, deviation, interval, bootstrap: bootstrapOfMean(values) };
}

/** The mean of a share in [0, 1] over seeds; its interval stays within [0, 1]. */
export function shareOverSeeds(shares: BySeed): SeedMean | undefined {
  const whole = meanOverSeeds(shares);
  if (!whole?.interval) return whole;
  const [low, high] = whole.interval;
  return { ...whole, interval: [Math.max(0, low), Math.min(1, high)] };
}

/**
 * The mean of a - b over shared seeds, with its interval. Runs of one seed share the order of their data, noise and
 * times, so common effects cancel.
 *
 * @returns undefined if they share no seed
 */
export function pairedDifference(a: BySeed, b: BySeed): SeedDifference | undefined {
  const shared = [...a].filter(([seed]) => b.has(seed));
  const differences = new Map(shared.map(([seed, value]) => [seed, value - b.get(seed)!]));
  const result = meanOverSeeds(differences, Math.max(largestOf(a), largestOf(b)));
  if (result?.deviation === undefined) return result;
  const { mean, deviation, seeds: { length: n } } = result;
  // If all seeds differ by the same amount other than 0, t is infinite and the p-value 0.
  const chance = mean === 0 ? 1 : studentTails(mean / (deviation / Math.sqrt(n)), n - 1);
  return { ...result, chance };
}

function largestOf(values: BySeed): number {
  return values.values().reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

export function excludesZero([low, high]: Interval): boolean {
  return low > 0 || high < 0;
}

/**
 * Whether each of several differences is significant by its p-value, at a family-wise error rate of 5 %.
 *
 * Source: Holm 1979, A simple sequentially rejective multiple test procedure
 */
export function holmSignificant(chances: readonly number[]): boolean[] {
  const pValues = chances.map((chance) => Number.isNaN(chance) ? 1 : chance);
  const order = [...pValues.keys()].toSorted((i, j) => pValues[i] - pValues[j]);
  const first = order.findIndex((place, i) => pValues[place] > (1 - confidence) / (chances.length - i));
  const significant = new Set(first < 0 ? order : order.slice(0, first));
  return chances.map((_, i) => significant.has(i));
}

/**
 * The probability that Student's t is further from 0 than `t`.
 *
 * @param freedom degrees of freedom, an integer of at least 1
 *
 * Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4
 */
export function studentTails(t: number, freedom: number): number {
  const angle = Math.atan(Math.abs(t) / Math.sqrt(freedom));
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

/** The bound that the absolute value of Student's t does not exceed with this probability. */
export function studentQuantile(probability: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (studentTails(high, freedom) > 1 - probability) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentTails(middle, freedom) > 1 - probability) low = middle;
    else high = middle;
  }
  return high;
}

/** Up to this many values, all resamples are listed (3,125 for five); for more, some are drawn at random. */
const maxListed = 5;

/**
 * The 95 % interval of a mean by the percentile bootstrap. It is never wider than the range of the values, so it is too
 * narrow for few of them: of three values, one resample in 27 repeats the smallest three times.
 *
 * @param values two or more
 *
 * Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3
 */
export function bootstrapOfMean(values: readonly number[]): Interval {
  if (values.length > maxListed) {
    const { low, high } = meanEstimate(values, { resamples: 10_000 });
    return [low, high];
  }
  const means = Float64Array.from(sumsOf(values, values.length), (sum) => sum / values.length).sort();
  const cut = Math.floor((1 - confidence) / 2 * means.length);
  return [means[cut], means[means.length - 1 - cut]];
}

/** The sums of all ways to draw values with replacement. */
function sumsOf(values: readonly number[], draws: number): number[] {
  if (draws === 0) return [0];
  return sumsOf(values, draws - 1).flatMap((sum) => values.map((value) => sum + value));
}
