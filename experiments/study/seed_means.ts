/** Means over seeds and paired differences, with 95 % intervals by Student's t. */

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

/** Whether a difference is clear. */
export function excludesZero([low, high]: Interval): boolean {
  return low > 0 || high < 0;
}

/** The bound that the absolute value of Student's t exceeds with a probability of 5 %. */
export function studentQuantile(freedom: number): number {
  let low = 0;
  let high = 13; // 12.7 for one degree of freedom
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
  const sine = Math.sin(angle);
  const square = Math.cos(angle) ** 2;
  // The series of cosines: 1 + 1/2 c^2 + 3/8 c^4 + ... for even degrees, c + 2/3 c^3 + ... for odd ones.
  const odd = freedom % 2 === 1;
  let term = odd ? Math.cos(angle) : 1;
  let sum = 0;
  for (let k = odd ? 1 : 0; k < freedom - 1; k += 2) {
    sum += term;
    term *= square * (k + 1) / (k + 2);
  }
  return 1 - (odd ? (angle + sine * sum) * 2 / Math.PI : sine * sum);
}
