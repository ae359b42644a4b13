import { meanEstimate } from "../../../models/measures/estimate.ts";

/** Most values of which all resamples are listed, 3,125 for five; more are drawn at random. */
const mostListed = 5;
const resamples = 10_000;
/** The share of resamples below and above the interval. */
const tail = 0.025;

/**
 * The 95 % interval of a mean by the percentile bootstrap. It is never wider than the values, which for few of them is
 * too narrow: of three, one resample in 27 is three times the smallest.
 *
 * @param values two or more
 *
 * Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3
 */
export function bootstrapOfMean(values: readonly number[]): readonly [low: number, high: number] {
  if (values.length > mostListed) {
    const { low, high } = meanEstimate(values, { resamples });
    return [low, high];
  }
  const means = allSums(values, values.length).map((sum) => sum / values.length).sort((a, b) => a - b);
  const cut = Math.floor(tail * means.length);
  return [means[cut], means[means.length - 1 - cut]];
}

/** The sums of all ways to draw so many values with replacement. */
function allSums(values: readonly number[], draws: number): number[] {
  if (draws === 0) return [0];
  return allSums(values, draws - 1).flatMap((sum) => values.map((value) => sum + value));
}
