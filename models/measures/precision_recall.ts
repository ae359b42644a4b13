import { rejectUnknown } from "../names.ts";
import { bootstrap, type Estimate, proportion, type Resampling } from "./estimate.ts";
import { eachNearPair, nearestNeighbours } from "./neighbours.ts";
import { checkPair, MeasureError, type Points } from "./points.ts";

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
 * @throws {MeasureError} if the points are invalid, or one of the sets has at most k
 * @throws {TypeError} if an option is unknown
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
    throw new MeasureError(`Cannot ${task} with k = ${k} (expected a whole number of at least 1)`);
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
