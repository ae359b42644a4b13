/** Decades within which there are two of 1, 2, 5, 10, 20 and so on, wherever they begin. */
const enough = 0.7;

/**
 * Ticks of a logarithmic axis, in Plotly's terms: at 1, 2 and 5 times each power of ten; of values that are near each
 * other Plotly's own, which has equal steps there.
 */
export function logTicks(values: readonly number[]): { readonly dtick?: "D2" } {
  const shown = values.filter((value) => Number.isFinite(value) && value > 0);
  const [low, high] = shown.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, 0]);
  return Math.log10(high / low) < enough ? {} : { dtick: "D2" };
}
