/**
 * The mean of about `width` values around each value. Near the start it averages over half of the values before, and as
 * many after, so that it does not lag behind a loss that falls fast. Values that are not finite are skipped and give NaN.
 */
export function movingAverage(values: ArrayLike<number>, width: number): number[] {
  const sums = [0];
  const counts = [0];
  for (let k = 0; k < values.length; k++) {
    const isFinite = Number.isFinite(values[k]);
    sums.push(sums[k] + (isFinite ? values[k] : 0));
    counts.push(counts[k] + (isFinite ? 1 : 0));
  }
  return Array.from(values, (value, k) => {
    if (!Number.isFinite(value)) return NaN;
    const reach = Math.min(Math.floor(width / 2), k >> 1);
    const from = k - reach;
    const to = Math.min(values.length, k + reach + 1);
    return (sums[to] - sums[from]) / (counts[to] - counts[from]);
  });
}
