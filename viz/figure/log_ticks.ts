/** Any range of this many decades contains two of 1, 2, 5, 10, 20 and so on. */
const enough = 0.7;

/**
 * Ticks of a logarithmic axis, as Plotly attributes: at 1, 2 and 5 times each power of ten; for a short range Plotly's
 * own, which are linear.
 */
export function logTicks(values: readonly number[]): { readonly dtick?: "D2" } {
  const shown = values.filter((value) => Number.isFinite(value) && value > 0);
  const [low, high] = shown.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, 0]);
  return Math.log10(high / low) < enough ? {} : { dtick: "D2" };
}
