import { type Estimate, meanEstimate, proportion, type Resampling } from "../../models/measures/estimate.ts";
import { nearestNeighbours, type Neighbours, type OnPairs } from "../../models/measures/neighbours.ts";
import { checkPair, checkPoints, type Points, rowsOf } from "../../models/measures/points.ts";

/** Whether samples repeat training images. */
export interface Memorisation {
  /**
   * AuthPct as a share: of samples that are farther from their nearest training image than that is from its own nearest
   * other training image. Low means copying.
   */
  readonly authentic: Estimate;
  /**
   * C_T of one cell: the Mann-Whitney z of the distances to the nearest training image, of samples against test images.
   * Below -3 samples are nearer to the training images than test images are: copying. Above 3 they are farther: underfitting.
   */
  readonly copying: Estimate;
  /** The nearest training images of each sample. */
  readonly nearest: Neighbours;
}

/** What is kept, and how intervals are drawn. */
export interface MemorisationOptions extends Resampling {
  /** Nearest training images of a sample that are kept, 1 by default. */
  readonly k?: number | undefined;
  /** Hears of the pairs that were compared; see `mostPairs`. */
  readonly onPairs?: OnPairs | undefined;
}

/** How many pairs `memorisation()` compares at most: fewer where samples share a nearest training image. */
export function mostPairs(train: Points, test: Points, samples: Points): number {
  return train.rows * (2 * samples.rows + test.rows);
}

/**
 * Measures whether samples repeat training images, by exact distances of pixels or features, with products on the device in
 * use. Intervals are for other samples of the same network, with training and test images held fixed; that of the share is
 * Wilson's, that of C_T bootstrapped.
 *
 * Both see what is near a training image as a whole. Neither sees a copied part, nor an image that was moved or brightened.
 *
 * @param train images or their features, f32[N, F], N at least 2
 * @param test images that were not trained on, f32[T, F]
 * @param samples f32[M, F]
 * @throws {MeasureError} if the points are invalid, or k is not a whole number from 1 to N
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
  for (const others of [test, samples]) checkPair(task, train, others);
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

/** The squared distance of some training images to their nearest other one, by their rows; each is searched for once. */
async function ownNeighbours(
  train: Points,
  rows: readonly number[],
  onPairs?: OnPairs,
): Promise<Map<number, number>> {
  const distinct = [...new Set(rows)];
  // The nearest of the two is the image itself, or a copy of it.
  const { squared } = await nearestNeighbours(rowsOf(train, distinct), train, 2, onPairs);
  return new Map(distinct.map((row, n) => [row, squared[2 * n + 1]]));
}

/**
 * The Mann-Whitney z of some numbers against others: 0 if they are alike, below 0 if the first are smaller. Ties count half.
 *
 * The interval is for other numbers x, with y held fixed.
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

/** How many sorted numbers are below a value, or not above it. */
function countBelow(sorted: Float64Array, value: number, orEqual = false): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value || (orEqual && sorted[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}
