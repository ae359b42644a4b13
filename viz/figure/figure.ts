import { figureSvg } from "./figure_svg.ts";
import type { PointMark } from "./point_mark.ts";
import { type Displayable, inPage, showAs } from "../image/notebook.ts";
import { describe, type PlotlyFigure } from "./plotly_figure.ts";
import { encodeRasterPng } from "../image/png.ts";
import { rasterizer } from "../image/raster.ts";

/** A line through points, or the points alone. */
export interface Trace {
  /** Horizontal positions; one that is not finite breaks the line. */
  readonly x: ArrayLike<number>;
  /** Vertical positions, one for each x. */
  readonly y: ArrayLike<number>;
  /** Default `lines`. */
  readonly mode?: "lines" | "markers";
  /** Name in the legend; without it the trace has no entry. */
  readonly name?: string;
  /** A CSS colour; by default the next of a fixed list. */
  readonly color?: string;
  /** Pixels: width of a line, default 1.5, or diameter of a point, default 5. */
  readonly size?: number;
  /** Shape of points, default `circle`. */
  readonly mark?: PointMark;
}

/** Titles, axes and size of a figure. */
export interface FigureLayout {
  /** Above the figure. */
  readonly title?: string;
  /** Name of the horizontal axis. */
  readonly xTitle?: string;
  /** Name of the vertical axis. */
  readonly yTitle?: string;
  /** Ends of the horizontal axis; by default those of the points. */
  readonly xRange?: readonly [low: number, high: number];
  /** Ends of the vertical axis; by default those of the points. */
  readonly yRange?: readonly [low: number, high: number];
  /** Whether the horizontal axis is logarithmic, with 2 in powers of two; it shows positive values only. */
  readonly xLog?: boolean | 2;
  /** Whether the vertical axis is logarithmic, with 2 in powers of two; it shows positive values only. */
  readonly yLog?: boolean | 2;
  /** Dashed horizontal lines with their names, such as what is best possible; the vertical axis includes them. */
  readonly levels?: readonly { readonly y: number; readonly name: string }[];
  /** Whether a unit has the same length on both axes. */
  readonly equalAxes?: boolean;
  /** Pixels, default 700. */
  readonly width?: number;
  /** Pixels, default 400. */
  readonly height?: number;
}

/** What a figure shows at one position of its slider. */
export interface FigureFrame {
  /** The label of the slider at this position. */
  readonly label: string;
  /** Traces in front of the figure's own; the same number in each frame. */
  readonly traces: readonly Trace[];
}

/** A figure to show in a notebook. */
export interface Figure extends Displayable {
  /** What it was made of. */
  readonly parts: FigureParts;
  /** What Plotly draws: `Plotly.newPlot(element, plotly)`. */
  readonly plotly: PlotlyFigure;
  /** A still image of the figure as SVG, with up to four frames side by side. */
  readonly svg: string;
}

/** A figure's traces, layout and frames. */
export interface FigureParts {
  /** In the order in which they are drawn. */
  readonly traces: readonly Trace[];
  /** Titles, axes and size. */
  readonly layout: FigureLayout;
  /** Positions of the slider, in order; none without a slider. */
  readonly frames: readonly FigureFrame[];
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
 * Makes a figure. As the last value of a notebook cell it is shown: interactive with Plotly (in VS Code, or in
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
 * @param traces drawn in this order
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

/** Gives traces without a colour the colours from `first` on. */
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
      `frame "${frames[0].label}" ${frames[0].traces.length} (expected equal numbers)`,
  );
}
