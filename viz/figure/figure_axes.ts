import type { FigureLayout, FigureParts } from "./figure.ts";

/** Ends of an axis. */
export type Range = readonly [low: number, high: number];

/** How numbers are written at ticks of a logarithmic axis, in d3's terms: in full, without SI prefixes. */
export const logTickFormat = ",";

/** The ends of both axes: those that the layout gives, else those of all points, of all frames too. */
export function axisRanges(
  { traces, layout, frames }: FigureParts,
): { readonly x: Range; readonly y: Range } {
  const all = [...traces, ...frames.flatMap(({ traces }) => traces)];
  return {
    x: layout.xRange ?? extent(all.map(({ x }) => x), layout.xLog),
    y: layout.yRange ?? extent(all.map(({ y }) => y), layout.yLog),
  };
}

/** The smallest and largest finite value, with a margin; only positive values count on a logarithmic axis. */
function extent(arrays: readonly ArrayLike<number>[], log: FigureLayout["xLog"] = false): Range {
  let [low, high] = [Infinity, -Infinity];
  for (const values of arrays) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (!Number.isFinite(value) || (log && value <= 0)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) {
    throw new RangeError(
      `Cannot draw figure: an axis has no ${log ? "positive " : ""}value (expected a finite one)`,
    );
  }
  if (log) return [low / 1.1, high * 1.1];
  const room = (high - low) * 0.04 || 1;
  return [low - room, high + room];
}
