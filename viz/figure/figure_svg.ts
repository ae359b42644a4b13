import { axisRanges } from "./figure_axes.ts";
import { drawPanel } from "./figure_panel.ts";
import type { FigureParts } from "./figure.ts";
import { sheet } from "../image/sheet.ts";

/** Draws a figure as SVG; of a figure with frames, up to four of them side by side. */
export function figureSvg(parts: FigureParts): string {
  const { traces, layout, frames } = parts;
  const { width = 700, height = 400, title } = layout;
  const count = Math.min(frames.length, 4);
  const shown = Array.from(
    { length: count },
    (_, i) => frames[count === 1 ? 0 : Math.round(i * (frames.length - 1) / (count - 1))],
  );
  const { x, y } = axisRanges(parts);
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
