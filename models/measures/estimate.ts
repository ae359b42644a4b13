import { randomBits } from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { rejectUnknown } from "../names.ts";
import { streams } from "../random.ts";
import { checkPair, eachNearPair, MeasureError, nearestNeighbours, type Points } from "./points.ts";

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
 */
export function meanEstimate(terms: ArrayLike<number>, resampling?: Resampling): Estimate {
  return bootstrap(meanOf(terms), terms, resampling);
}

/**
 * A share of samples with Wilson's 95 % interval, which also works for shares near 0 and 1.
 *
 * @param successes number of samples counted, out of `trials`
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
  refuse(MeasureError, `${task} with ${count} ${name}`, "a whole number of at least 1");
}

/** Quality and variety of samples, measured with balls around points. */
export interface PrecisionRecall {
  /** Share of samples inside a ball around a real point: how many look real. */
  readonly precision: Estimate;
  /** Share of real points inside a ball around a sample: how much of the data the samples cover. */
  readonly recall: Estimate;
  /** Share of real balls that contain a sample: like recall, but robust to outliers. */
  readonly coverage: Estimate;
}

/** Options of {@linkcode precisionRecall}. */
export interface PrecisionRecallOptions extends Resampling {
  /** A ball's radius is the distance to the k-th nearest other point of the same set; by default k = 5. */
  readonly k?: number | undefined;
}

/**
 * Precision, recall and coverage with their intervals. A point at exactly the radius is outside the ball.
 * Distances are exact; inner products are computed on the current device.
 *
 * Intervals describe other samples of the same network, with the reference and all radii fixed. Precision gets Wilson's
 * interval, the others a bootstrap; a sample's influence on recall and coverage is what they lose without it
 * (jackknife).
 *
 * @param reference features of real images, f32[N, F]
 * @param samples features of samples, f32[M, F]; best with N = M
 *
 * Source: Naeem et al. 2020, arXiv:2002.09797; precision and recall: Kynkäänniemi et al. 2019, arXiv:1904.06991
 */
export async function precisionRecall(
  reference: Points,
  samples: Points,
  { k = 5, ...resampling }: PrecisionRecallOptions = {},
): Promise<PrecisionRecall> {
  const task = "take precision, recall and coverage";
  rejectUnknown(resampling, ["k", "seed", "resamples"], "precisionRecall()");
  if (!Number.isInteger(k) || k < 1) {
    refuse(MeasureError, `${task} with k = ${k}`, "a whole number of at least 1");
  }
  checkPair(task, reference, samples, k + 1);
  const real = await membership(reference, await squaredRadii(reference, k), samples);
  const drawn = await membership(samples, await squaredRadii(samples, k), reference);
  const share = (counts: Uint32Array) => occupied(counts) / counts.length;
  return {
    precision: proportion(occupied(real.balls), samples.rows),
    recall: within(
      bootstrap(share(drawn.balls), lostWithout(drawn.balls, drawn.lastBall, samples.rows), resampling),
    ),
    coverage: within(
      bootstrap(share(real.points), lostWithout(real.points, real.lastPoint, samples.rows), resampling),
    ),
  };
}

/** Squared distance of each point to its k-th nearest other one, f64[N]. */
async function squaredRadii(points: Points, k: number): Promise<Float64Array> {
  // k + 1, because the nearest is the point itself or a copy of it.
  const { squared } = await nearestNeighbours(points, points, k + 1);
  return Float64Array.from({ length: points.rows }, (_, i) => squared[i * (k + 1) + k]);
}

/** Counts points per ball and balls per point. */
async function membership(centres: Points, radii: Float64Array, points: Points) {
  const counts = {
    /** Number of points in each ball. */
    points: new Uint32Array(centres.rows),
    /** One of them. */
    lastPoint: new Uint32Array(centres.rows),
    /** Number of balls around each point. */
    balls: new Uint32Array(points.rows),
    /** One of them. */
    lastBall: new Uint32Array(points.rows),
  };
  await eachNearPair(centres, points, radii, (i, j) => {
    counts.points[i]++;
    counts.lastPoint[i] = j;
    counts.balls[j]++;
    counts.lastBall[j] = i;
  });
  return counts;
}

function occupied(counts: Uint32Array): number {
  return counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
}

/** Influence of each of M samples on the share of counts above 0: where a count is 1, that one sample decides. */
function lostWithout(counts: Uint32Array, sample: Uint32Array, M: number): Float64Array {
  const lost = new Float64Array(M);
  counts.forEach((count, i) => {
    if (count === 1) lost[sample[i]] += (M - 1) / counts.length;
  });
  return lost;
}

/** Clips the interval of a share to [0, 1]. */
function within({ value, low, high }: Estimate): Estimate {
  return { value, low: Math.max(low, 0), high: Math.min(high, 1) };
}
