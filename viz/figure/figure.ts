/** Figures in Plotly's terms: https://plotly.com/javascript/reference/ */
import { base64 } from "../image/base64.ts";
import { type Displayable, type Json, showAs } from "../image/notebook.ts";

/** A trace; numbers that are not finite break its lines. */
export interface PlotlyTrace {
  /** Default `scatter`. Pages of this library draw these; Plotly has more. */
  readonly type?: "scatter" | "bar" | "heatmap" | "quiver";
  /** Horizontal positions. */
  readonly x?: ArrayLike<number | string | null>;
  /** Vertical positions. */
  readonly y?: ArrayLike<number | string | null>;
  /** Its entry in the legend. */
  readonly name?: string;
  /** Any other attribute of Plotly. */
  readonly [attribute: string]: unknown;
}

/** Titles, axes and size, by Plotly's attributes. */
export type PlotlyLayout = Readonly<Record<string, unknown>>;

/** What a figure shows at one position of its slider. */
export interface PlotlyFrame {
  /** A unique name. */
  readonly name: string;
  /** Attributes that replace those of traces. */
  readonly data: readonly PlotlyTrace[];
  /** The indices of these traces. */
  readonly traces: readonly number[];
}

/** A figure: `Plotly.newPlot(element, figure)` draws it. */
export interface PlotlyFigure {
  /** In drawing order. */
  readonly data: readonly PlotlyTrace[];
  /** Titles, axes and size. */
  readonly layout: PlotlyLayout;
  /** Positions of a slider, if it has one. */
  readonly frames?: readonly PlotlyFrame[];
}

/** A figure to show in a notebook. */
export interface Figure extends PlotlyFigure, Displayable {}

/** Colours of series, safe for colour-blind readers, at least 3:1 against white and against the page's black. */
export const seriesColors: readonly string[] = "#0f7f96 #c2601c #7468c8 #b8478c #84781f #4a7ab5".split(" ");

/** Symbols of points, so that no reader needs colours. */
export const seriesMarks: readonly string[] =
  "circle square diamond triangle-up cross star triangle-down x hexagon pentagon".split(" ");

/** The colours of a page that charts share. */
export interface ChartColors {
  /** Text, titles and data without a hue of its own. */
  readonly ink: string;
  /** Labels and ticks. */
  readonly muted: string;
  /** Axes and grids. */
  readonly line: string;
  /** The background. */
  readonly paper: string;
}

const light: ChartColors = { ink: "#1f2328", muted: "#5f666e", line: "#e2e0d9", paper: "#ffffff" };

/** Sizes and colours of all charts, as Plotly's `layout.template`. */
export function chartTemplate({ ink, muted, line, paper }: ChartColors = light): PlotlyLayout {
  const axis = {
    automargin: true, // no label is cut
    zeroline: false,
    gridcolor: line,
    linecolor: muted,
    tickfont: { color: muted, size: 11 },
    title: { font: { size: 12 }, standoff: 8 },
    exponentformat: "none", // without SI prefixes
    separatethousands: true,
  };
  const font = { family: 'system-ui, "DejaVu Sans", sans-serif', color: ink, size: 12 };
  return {
    data: { scatter: [{ line: { width: 2 }, marker: { size: 8, line: { width: 0 } } }] },
    layout: {
      font,
      colorway: seriesColors,
      paper_bgcolor: paper,
      plot_bgcolor: paper,
      margin: { l: 56, r: 16, t: 24, b: 44 },
      hovermode: "closest",
      hoverlabel: { bgcolor: paper, bordercolor: muted, font, namelength: -1 },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1, yanchor: "bottom", font: { size: 12 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: ink },
      shapedefaults: { line: { color: ink, width: 1 } },
      xaxis: axis,
      yaxis: axis,
    },
  };
}

/** Text that Plotly shows as it is, without markup. */
export function plainText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** Plotly's number of panel n: none for the first, then 2, 3 and so on. */
export function panelNumber(n: number): string {
  return n === 0 ? "" : `${n + 1}`;
}

/** Attributes of a logarithmic axis: all its labels are written out, and few, since those below a decade lie close. */
export const logAxis: PlotlyLayout = { type: "log", tickformat: ",", nticks: 4 };

/**
 * Makes a figure of Plotly's traces, layout and frames. A notebook shows it if it is the last value of a cell, in VS Code or
 * in JupyterLab with PyPI's `plotly`.
 *
 * @example
 * ```ts
 * import { figure } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const squares = figure([{ x: [1, 2, 3], y: [1, 4, 9], name: "squares" }], { xaxis: { title: { text: "n" } } });
 * assert.equal(squares.data.length, 1);
 * ```
 *
 * @throws {RangeError} if a trace has different numbers of x and y
 */
export function figure(
  data: readonly PlotlyTrace[],
  layout: PlotlyLayout = {},
  frames: readonly PlotlyFrame[] = [],
): Figure {
  for (const { x, y, name } of data) {
    if (!x || !y || x.length === y.length) continue;
    const which = name ? `trace ${JSON.stringify(name)}` : "trace";
    throw new RangeError(
      `Cannot draw figure: ${which} has ${x.length} x and ${y.length} y (expected equal numbers)`,
    );
  }
  const whole = { data, layout: { template: chartTemplate(), width: 700, height: 400, ...layout }, frames };
  return showAs(whole, () => ({
    "application/vnd.plotly.v1+json": plotlyJson(whole),
    "text/plain": "Figure",
  }));
}

/** Plotly's name of the numbers in an array. */
function dtypeOf(array: ArrayBufferView): string {
  if (array instanceof Float32Array) return "f4";
  return array instanceof Uint8Array ? "u1" : "i4";
}

/** A figure as JSON; typed arrays are in base64, and numbers that are not finite become null. */
export function plotlyJson(value: unknown): Json {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    return { dtype: dtypeOf(value), bdata: base64(new Uint8Array(buffer, byteOffset, byteLength)) };
  }
  if (Array.isArray(value)) return value.map(plotlyJson);
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  if (typeof value !== "object" || value === null) return (value ?? null) as Json;
  const known = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(known.map(([name, part]) => [name, plotlyJson(part)]));
}
