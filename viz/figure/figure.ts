import { figureSvg } from "./figure_svg.ts";
import type { FigureFrame, FigureLayout, FigureParts, Trace } from "./figure_parts.ts";
import { type Displayable, inPage, showAs } from "../image/notebook.ts";
import { describe, type PlotlyFigure } from "./plotly_figure.ts";
import { encodeRasterPng } from "../image/png.ts";
import { rasterizer } from "../image/raster.ts";

/** A figure to show in a notebook. */
export interface Figure extends Displayable {
  /** The traces, layout and frames it was made from. */
  readonly parts: FigureParts;
  /** The figure for Plotly: `Plotly.newPlot(element, plotly)`. */
  readonly plotly: PlotlyFigure;
  /** A still image of the figure as SVG, with up to four frames side by side. */
  readonly svg: string;
}

/**
 * Colours of traces, safe for colour-blind readers, and visible on white and on black.
 *
 * Source: Okabe and Ito 2008, "Color universal design", with grey for black
 */
export const traceColors: readonly string[] = [
  ...["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#808080"],
];

/**
 * Makes a figure. A notebook shows it if it is the last value of a cell: interactively with Plotly (in VS Code, or in
 * JupyterLab with PyPI's `plotly`), otherwise as a still image.
 *
 * @example
 * ```ts
 * import { figure } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const squares = figure([{ x: [1, 2, 3], y: [1, 4, 9], name: "squares" }], { xTitle: "n" });
 * assert.match(squares.svg, /squares/);
 * ```
 *
 * @param traces in drawing order
 * @param frames positions of a slider, in order
 * @throws {RangeError} if a trace has different numbers of x and y, frames have different numbers of traces, or no point
 * is finite
 */
export function figure(
  traces: readonly Trace[],
  layout: FigureLayout = {},
  frames: readonly FigureFrame[] = [],
): Figure {
  const parts = {
    traces: coloured(traces),
    layout,
    frames: frames.map((frame) => ({ ...frame, traces: coloured(frame.traces, traces.length) })),
  };
  check(parts);
  const svg = figureSvg(parts);
  const plotly = describe(parts);
  return showAs({ parts, plotly, svg }, async () => {
    const still = (await rasterizer())(svg, 1.5);
    return {
      "application/vnd.plotly.v1+json": { ...plotly },
      // As HTML: JupyterLab with Plotly would prefer image/png to the figure.
      "text/html": inPage(encodeRasterPng(still), "image/png", still.width / 1.5),
      "text/plain": layout.title ?? "Figure",
    };
  });
}

/** Colours the traces that have no colour, starting at colour `first`. */
function coloured(traces: readonly Trace[], first = 0): Trace[] {
  return traces.map((trace, i) => ({ color: traceColors[(first + i) % traceColors.length], ...trace }));
}

function check({ traces, frames }: FigureParts): void {
  for (const { x, y, name } of [traces, ...frames.map(({ traces }) => traces)].flat()) {
    if (x.length === y.length) continue;
    const which = name ? `trace "${name}"` : "trace";
    throw new RangeError(
      `Cannot draw figure: ${which} has ${x.length} x and ${y.length} y (expected equal numbers)`,
    );
  }
  const other = frames.find(({ traces }) => traces.length !== frames[0].traces.length);
  if (!other) return;
  throw new RangeError(
    `Cannot draw figure: frame "${other.label}" has ${other.traces.length} traces, ` +
      `frame "${frames[0].label}" has ${frames[0].traces.length} (expected equal numbers)`,
  );
}
