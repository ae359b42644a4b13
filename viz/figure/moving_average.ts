/**
 * Exponential moving average with a memory of `memory` values, corrected for its start at 0; a value that is not finite
 * is left out, and the average at its place is NaN.
 *
 * Source: Kingma and Ba 2015, arXiv:1412.6980, section 3 (bias correction)
 */
export function movingAverage(values: ArrayLike<number>, memory: number): number[] {
  const keep = 1 - 1 / memory;
  let [sum, weight] = [0, 0];
  return Array.from(values, (value) => {
    if (!Number.isFinite(value)) return NaN;
    sum = keep * sum + value;
    weight = keep * weight + 1;
    return sum / weight;
  });
}
