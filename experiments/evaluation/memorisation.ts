import {
  checkPair,
  checkPoints,
  type Estimate,
  meanEstimate,
  nearestNeighbours,
  type Neighbours,
  type OnPairs,
  pickPoints,
  type Points,
  proportion,
  type Resampling,
} from "../../models/mod.ts";

/** Whether samples repeat training images. */
export interface Memorisation {
  /**
   * AuthPct: the share of samples that are farther from their nearest training image than this image is from its own
   * nearest neighbour in the training set. A low value means copying.
   */
  readonly authentic: Estimate;
  /**
   * C_T with one cell: the Mann-Whitney z of distances to the nearest training image, samples against test images.
   * Below -3, samples are nearer to the training set than test images are: copying. Above 3 they are farther: underfitting.
   */
  readonly copying: Estimate;
  /** The nearest training images of each sample. */
  readonly nearest: Neighbours;
}

export interface MemorisationOptions extends Resampling {
  /** Nearest training images to return per sample, 1 by default. */
  readonly k?: number | undefined;
  /** Called with the number of pairs compared; see `maxPairs`. */
  readonly onPairs?: OnPairs | undefined;
}

/** Upper bound on the pairs that `memorisation()` compares; fewer if samples share a nearest training image. */
export function maxPairs(train: Points, test: Points, samples: Points): number {
  return train.rows * (2 * samples.rows + test.rows);
}

/**
 * Measures whether samples repeat training images, by exact distances between pixels or features. Products run on the current
 * device. Intervals cover other samples of the same network; the share's is Wilson's, that of C_T is bootstrapped.
 *
 * Both measures compare whole images. They do not notice a copied part, or a copy that was moved or brightened.
 *
 * @param train images or their features, f32[N, F], N at least 2
 * @param test images that were not used for training, f32[T, F]
 * @param samples f32[M, F]
 *
 * Source: Alaa et al. 2022, arXiv:2102.08921, section 3.3 (authenticity); Meehan et al. 2020, arXiv:2004.05675 (C_T)
 */
export async function memorisation(
  train: Points,
  test: Points,
  samples: Points,
  { k = 1, onPairs, ...resampling }: MemorisationOptions = {},
): Promise<Memorisation> {
  const task = "measure memorisation";
  checkPoints(task, "training images", train, 2);
  for (const points of [test, samples]) checkPair(task, train, points);
  const nearest = await nearestNeighbours(samples, train, k, onPairs);
  const rows = Array.from({ length: samples.rows }, (_, n) => nearest.indices[n * k]);
  const squared = Float64Array.from(rows, (_, n) => nearest.squared[n * k]);
  const own = await ownNeighbours(train, rows, onPairs);
  const authentic = rows.filter((row, n) => squared[n] > own.get(row)!).length;
  const { squared: ofTest } = await nearestNeighbours(test, train, 1, onPairs);
  return {
    authentic: proportion(authentic, samples.rows),
    copying: mannWhitney(squared, ofTest, resampling),
    nearest,
  };
}

/** Squared distance from each training image, given by row, to its nearest neighbour; each row is searched once. */
async function ownNeighbours(
  train: Points,
  rows: readonly number[],
  onPairs?: OnPairs,
): Promise<Map<number, number>> {
  const distinct = [...new Set(rows)];
  // The first of the two is the image itself, or a copy of it.
  const { squared } = await nearestNeighbours(pickPoints(train, distinct), train, 2, onPairs);
  return new Map(distinct.map((row, n) => [row, squared[2 * n + 1]]));
}

/**
 * The Mann-Whitney z of x against y: 0 if they are equally distributed, negative if x is smaller. Ties count half. The
 * interval covers other draws of x against the same y.
 *
 * @param x f64[M]
 * @param y f64[T]
 * Source: Mann and Whitney 1947, On a test of whether one of two random variables is stochastically larger
 */
export function mannWhitney(x: Float64Array, y: Float64Array, resampling?: Resampling): Estimate {
  const [M, T] = [x.length, y.length];
  const sorted = y.toSorted();
  const wins = x.map((value) => (countBelow(sorted, value) + countBelow(sorted, value, true)) / 2);
  const scale = Math.sqrt(M * T * (M + T + 1) / 12);
  return meanEstimate(wins.map((win) => M * (win - T / 2) / scale), resampling);
}

/** Number of sorted values below a value, or at most equal to it. */
function countBelow(sorted: Float64Array, value: number, orEqual = false): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value || (orEqual && sorted[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}
