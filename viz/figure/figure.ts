import { figureSvg } from "./figure_svg.ts";
import { type Displayable, inPage, showAs } from "../image/notebook.ts";
import { describe, type PlotlyFigure } from "./plotly_figure.ts";
import { encodeRasterPng } from "../image/png.ts";
import { rasterizer } from "../image/raster.ts";

/** A line through points, or the points. */
export interface Trace {
  /** Positions to the right; one that is not finite interrupts the line. */
  readonly x: ArrayLike<number>;
  /** Positions upwards, as many. */
  readonly y: ArrayLike<number>;
  /** Default `lines`. */
  readonly mode?: "lines" | "markers";
  /** Stands in the legend; without it the trace is in none. */
  readonly name?: string;
  /** A colour in CSS; default by the place among the traces. */
  readonly color?: string;
  /** Pixels: a line's width, default 1.5, or a point's diameter, default 5. */
  readonly size?: number;
}

/** What is around the traces. */
export interface FigureLayout {
  /** Stands above the figure. */
  readonly title?: string;
  /** Name of the axis to the right. */
  readonly xTitle?: string;
  /** Name of the axis upwards. */
  readonly yTitle?: string;
  /** Ends of the axis to the right; by default those of the points. */
  readonly xRange?: readonly [low: number, high: number];
  /** Ends of the axis upwards; by default those of the points. */
  readonly yRange?: readonly [low: number, high: number];
  /** Whether the axis to the right is logarithmic: of positive values only. */
  readonly xLog?: boolean;
  /** Whether the axis upwards is logarithmic: of positive values only. */
  readonly yLog?: boolean;
  /** Whether a unit is as long upwards as to the right. */
  readonly equalAxes?: boolean;
  /** Pixels, default 700. */
  readonly width?: number;
  /** Pixels, default 400. */
  readonly height?: number;
}

/** What a slider shows at one of its places. */
export interface FigureFrame {
  /** What the slider says there. */
  readonly label: string;
  /** In front of the figure's own traces; as many in each frame. */
  readonly traces: readonly Trace[];
}

/** A figure to look at in a notebook. */
export interface Figure extends Displayable {
  /** What Plotly draws: `Plotly.newPlot(element, plotly)`. */
  readonly plotly: PlotlyFigure;
  /** A still: the figure as SVG, up to four of its frames side by side. */
  readonly svg: string;
}

/** Everything a figure is made of. */
export interface FigureParts {
  readonly traces: readonly Trace[];
  readonly layout: FigureLayout;
  readonly frames: readonly FigureFrame[];
}

/**
 * Colours of traces: those that people with impaired colour vision can tell apart.
 *
 * Source: Okabe and Ito 2008, "Color universal design"
 */
const colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/**
 * Makes a figure. At the end of a notebook's cell it shows itself: interactive where Plotly is (VS Code, or JupyterLab
 * with PyPI's `plotly`), else as a still image.
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
 * @param frames places of a slider, in order
 * @throws {RangeError} if a trace has not as many x as y, frames have different numbers of traces, or no point is finite
 */
export function figure(
  traces: readonly Trace[],
  layout: FigureLayout = {},
  frames: readonly FigureFrame[] = [],
): Figure {
  const parts = {
    traces: traces.map(coloured),
    layout,
    frames: frames.map(({ label, traces }) => ({ label, traces: traces.map(coloured) })),
  };
  check(parts);
  const svg = figureSvg(parts);
  const plotly = describe(parts);
  return showAs({ plotly, svg }, async () => {
    const still = (await rasterizer())(svg, 1.5);
    return {
      "application/vnd.plotly.v1+json": { ...plotly },
      // Not under image/png, which JupyterLab's Plotly would show in place of the figure.
      "text/html": inPage(encodeRasterPng(still), "image/png", still.width / 1.5),
      "text/plain": layout.title ?? "Figure",
    };
  });
}

function coloured(trace: Trace, place: number): Trace {
  return { color: colors[place % colors.length], ...trace };
}

function check({ traces, frames }: FigureParts): void {
  for (const { x, y, name } of [traces, ...frames.map(({ traces }) => traces)].flat()) {
    if (x.length === y.length) continue;
    throw new RangeError(
      `Cannot draw figure: trace${
        name ? ` "${name}"` : ""
      } has ${x.length} x and ${y.length} y (expected as many)`,
    );
  }
  const other = frames.find(({ traces }) => traces.length !== frames[0].traces.length);
  if (!other) return;
  throw new RangeError(
    `Cannot draw figure: frame "${other.label}" has ${other.traces.length} traces, ` +
      `frame "${frames[0].label}" ${frames[0].traces.length} (expected as many)`,
  );
}
