/**
 * Exponential moving average over about `memory` values, with bias correction. Values that are not finite are skipped
 * and give NaN.
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
