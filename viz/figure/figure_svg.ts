import { drawPanel, type Range } from "./figure_panel.ts";
import type { FigureLayout, FigureParts } from "./figure.ts";
import { sheet } from "../image/sheet.ts";

/** Draws a figure as SVG; of a figure with frames, up to four of them side by side. */
export function figureSvg({ traces, layout, frames }: FigureParts): string {
  const { width = 700, height = 400, title } = layout;
  const count = Math.min(frames.length, 4);
  const shown = Array.from(
    { length: count },
    (_, i) => frames[count === 1 ? 0 : Math.round(i * (frames.length - 1) / (count - 1))],
  );
  const all = [...traces, ...frames.flatMap(({ traces }) => traces)];
  const x = layout.xRange ?? extent(all.map(({ x }) => x), layout.xLog);
  const y = layout.yRange ?? extent(all.map(({ y }) => y), layout.yLog);
  const panels = shown.length > 0 ? shown : [{ label: "", traces: [] }];
  const side = panels.length === 1 ? width : Math.floor(1.4 * width / panels.length);
  const cell = [side, panels.length === 1 ? height : side] as const;
  const place = sheet([1, panels.length], cell, {
    ...title !== undefined && { title },
    ...shown.length > 0 && { columns: shown.map(({ label }) => label) },
  });
  const drawn = panels.map((panel, i) => {
    const [left, top] = place.place(0, i);
    return `<g transform="translate(${left} ${top})">${
      drawPanel([...traces, ...panel.traces], layout, cell, x, y)
    }</g>`;
  });
  return place.svg(drawn.join(""), {
    ...title !== undefined && { title },
    columns: shown.map(({ label }) => label),
  });
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
