import { randomBits } from "../../kernels/mod.ts";
import { streams } from "../random.ts";
import { MeasureError } from "./points.ts";

/** A figure and its 95 % interval: of many sample sets of this size, 95 % have an interval around the mean figure. */
export interface Estimate {
  /** The figure. */
  readonly value: number;
  /** Lower end of the interval. */
  readonly low: number;
  /** Upper end of the interval. */
  readonly high: number;
}

/** Options of the bootstrap. */
export interface Resampling {
  /** Seed of the random numbers, 0 by default: the same seed gives the same interval. */
  readonly seed?: number | undefined;
  /** Number of resamples, 1,000 by default. */
  readonly resamples?: number | undefined;
}

/** The share of resamples below and above the interval. */
const tail = 0.025;
/** The standard normal quantile at 1 - tail. */
const z = 1.959963984540054;

/**
 * The 95 % interval of a figure, by bootstrapping the influences of samples: draw samples with replacement, shift the
 * figure by their mean influence, and take percentiles of the results.
 *
 * For a mean, the influences are its terms, and this is the ordinary percentile bootstrap. For other figures, it
 * bootstraps the first-order approximation. The figure is not evaluated again, and there is no bias for figures such as
 * the Fréchet distance, which grows when a resample has fewer distinct samples.
 *
 * @param value the figure
 * @param influence derivative of the figure with respect to each sample's share of the weight; a constant shift has no
 * effect
 *
 * @throws {MeasureError} if there are no samples, or the number of resamples is not a whole number of at least 1
 * @throws {RangeError} if the seed is not a whole number below 2^32
 *
 * Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, sections 13.3 and 22.6
 */
export function bootstrap(
  value: number,
  influence: ArrayLike<number>,
  { seed = 0, resamples = 1000 }: Resampling = {},
): Estimate {
  const N = influence.length;
  checkAtLeastOne("bootstrap a figure", "samples", N);
  checkAtLeastOne("bootstrap a figure", "resamples", resamples);
  const mean = meanOf(influence);
  const moved = Float64Array.from({ length: resamples }, (_, r) => {
    const rows = resampled(seed, r, N);
    let sum = 0;
    for (let n = 0; n < N; n++) sum += influence[rows[n]];
    return value + sum / N - mean;
  }).sort();
  return {
    value,
    low: Math.min(value, quantile(moved, tail)),
    high: Math.max(value, quantile(moved, 1 - tail)),
  };
}

/**
 * Maximum number of resample indices to keep, 16 MiB: all figures of an evaluation resample the same number of samples.
 */
const maxKept = 2 ** 22;
let kept: { readonly key: string; readonly resamples: Uint32Array[]; size: number } | undefined;

/** The indices of resample r of N samples. */
function resampled(seed: number, r: number, N: number): Uint32Array {
  const key = `${seed} ${N}`;
  if (kept?.key !== key) kept = { key, resamples: [], size: 0 };
  const cached = kept.resamples[r];
  if (cached) return cached;
  const drawn = randomBits(seed, streams.resamples, r, N).map((bits) => Math.floor(bits * 2 ** -32 * N));
  if (kept.size + N <= maxKept) {
    kept.resamples[r] = drawn;
    kept.size += N;
  }
  return drawn;
}

/**
 * The mean of one number per sample, with its 95 % interval by the percentile bootstrap.
 *
 * @param terms a number for each sample
 * @throws {MeasureError} as `bootstrap()`
 */
export function meanEstimate(terms: ArrayLike<number>, resampling?: Resampling): Estimate {
  return bootstrap(meanOf(terms), terms, resampling);
}

/**
 * A share of samples with Wilson's 95 % interval, which also works for shares near 0 and 1.
 *
 * @param successes number of samples counted, out of `trials`
 * @throws {MeasureError} if there are no trials
 *
 * Source: Wilson 1927, Probable inference, the law of succession, and statistical inference
 */
export function proportion(successes: number, trials: number): Estimate {
  checkAtLeastOne("take a share", "samples", trials);
  const value = successes / trials;
  const centre = (value + z * z / (2 * trials)) / (1 + z * z / trials);
  const half = z / (1 + z * z / trials) *
    Math.sqrt(value * (1 - value) / trials + z * z / (4 * trials * trials));
  return {
    value,
    low: Math.max(0, Math.min(value, centre - half)),
    high: Math.min(1, Math.max(value, centre + half)),
  };
}

/** A quantile of sorted numbers, linearly interpolated as in NumPy. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

function meanOf(terms: ArrayLike<number>): number {
  let sum = 0;
  for (let n = 0; n < terms.length; n++) sum += terms[n];
  return sum / terms.length;
}

function checkAtLeastOne(task: string, name: string, count: number): void {
  if (Number.isInteger(count) && count >= 1) return;
  throw new MeasureError(`Cannot ${task} with ${count} ${name} (expected a whole number of at least 1)`);
}
