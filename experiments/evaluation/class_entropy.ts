import { type Estimate, meanEstimate, MeasureError, type Resampling } from "../../models/mod.ts";

/**
 * Number of samples in each class, u32[classes].
 *
 * @param labels the class of each sample, an integer from 0 to classes - 1
 * @throws {MeasureError} if there are no labels, or one is out of range
 */
export function classHistogram(labels: ArrayLike<number>, classes: number): Uint32Array {
  if (labels.length === 0) {
    throw new MeasureError("Cannot count classes: there are no labels (expected at least one)");
  }
  const counts = new Uint32Array(classes);
  for (let n = 0; n < labels.length; n++) {
    if (!Number.isInteger(labels[n]) || labels[n] < 0 || labels[n] >= classes) {
      throw new MeasureError(
        `Cannot count classes: label ${n} is ${labels[n]} (expected a whole number from 0 to ${classes - 1})`,
      );
    }
    counts[labels[n]]++;
  }
  return counts;
}

/**
 * Entropy of the samples' classes in bits, with its interval: log2(classes) if all are equally frequent, 0 for a single
 * class.
 *
 * @param labels the class of each sample, an integer from 0 to classes - 1
 * @throws {MeasureError} if there are no labels, or one is out of range
 *
 * Source: Shannon 1948, A mathematical theory of communication
 */
export function classEntropy(
  labels: ArrayLike<number>,
  classes: number,
  resampling?: Resampling,
): Estimate {
  const surprise = Float64Array.from(
    classHistogram(labels, classes),
    (count) => count > 0 ? -Math.log2(count / labels.length) : 0,
  );
  const terms = Float64Array.from(labels, (label) => surprise[label]);
  const { value, low, high } = meanEstimate(terms, resampling);
  return { value, low: Math.max(low, 0), high: Math.min(high, Math.log2(classes)) };
}
