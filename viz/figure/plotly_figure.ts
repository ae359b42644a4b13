import { base64 } from "../image/base64.ts";
import { axisRanges, logTickFormat } from "./figure_svg.ts";
import type { FigureFrame, FigureLayout, FigureParts, Trace } from "./figure_parts.ts";
import type { Json } from "../image/notebook.ts";

/** A figure in Plotly's format; numbers are f32, in base64. */
export interface PlotlyFigure {
  /** The traces; those that the slider changes come last. */
  readonly data: readonly { readonly [name: string]: Json }[];
  /** Axes, titles and the slider. */
  readonly layout: { readonly [name: string]: Json };
  /** The traces at each position of the slider. */
  readonly frames: readonly { readonly [name: string]: Json }[];
}

/** Converts a figure for Plotly. */
export function describe(parts: FigureParts): PlotlyFigure {
  const { traces, layout, frames } = parts;
  const moving = frames.length > 0 ? frames[0].traces : [];
  const { levels = [] } = layout;
  const ends = axisRanges(parts);
  // Plotly would fit its axes to the first frame only, and draw a level on the edge.
  const isFitted = frames.length > 0 || levels.length > 0;
  const axis = (name: "x" | "y", title = "", log: FigureLayout["xLog"] = false) => ({
    title: { text: title },
    zeroline: false,
    automargin: true, // for wide numbers
    exponentformat: "none", // without SI prefixes
    separatethousands: true,
    ...log && { type: "log", tickformat: logTickFormat, ...logTicks(ends[name]) },
    ...log === 2 && { dtick: Math.log10(2) }, // the exponent's step
    ...(isFitted || layout[`${name}Range`]) && { range: log ? ends[name].map(Math.log10) : [...ends[name]] },
  });
  const places = moving.map((_, i) => traces.length + i);
  return {
    data: [...traces, ...moving].map(plotlyTrace),
    layout: {
      width: layout.width ?? 700,
      height: (layout.height ?? 400) + (frames.length > 0 ? 80 : 0),
      margin: { l: 60, r: 20, t: layout.title ? 50 : 20, b: 50 },
      hovermode: "closest",
      hoverlabel: { namelength: -1 }, // do not shorten names
      ...layout.title && { title: { text: layout.title } },
      ...levels.length > 0 && { shapes: levels.map(levelShape) },
      xaxis: axis("x", layout.xTitle, layout.xLog),
      yaxis: {
        ...axis("y", layout.yTitle, layout.yLog),
        ...layout.equalAxes && { scaleanchor: "x" },
      },
      ...frames.length > 0 && { sliders: [slider(frames)] },
    },
    frames: frames.map(({ traces }, i) => ({
      name: String(i), // labels may repeat
      data: traces.map(plotlyTrace),
      traces: places,
    })),
  };
}

function plotlyTrace(
  { x, y, mode = "lines", name, color = "", size, mark }: Trace,
): { readonly [key: string]: Json } {
  return {
    type: "scatter",
    mode,
    x: numbers(x),
    y: numbers(y),
    ...(mode === "lines"
      ? { line: { color, width: size ?? 1.5 } }
      : { marker: { color, size: size ?? 5, ...mark && { symbol: mark } } }),
    ...(name === undefined ? { showlegend: false, hoverinfo: "x+y" } : { showlegend: true, name }),
  };
}

/** A dashed line from edge to edge, with its name above its left end. */
function levelShape({ y, name }: { readonly y: number; readonly name: string }): Json {
  return {
    type: "line",
    xref: "paper",
    x0: 0,
    x1: 1,
    y0: y,
    y1: y,
    line: { dash: "dash", width: 1 },
    label: { text: name, textposition: "start", padding: 4 },
  };
}

function slider(frames: readonly FigureFrame[]): Json {
  const atOnce = { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: 0 } };
  return {
    pad: { t: 40 },
    steps: frames.map(({ label }, i) => ({ label, method: "animate", args: [[String(i)], atOnce] })),
  };
}

/** Encodes numbers as f32 in base64 (Plotly.js 2.28 and later): a fifth as long as digits, and NaN stays NaN. */
function numbers(values: ArrayLike<number>): Json {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { dtype: "f4", bdata: base64(bytes) };
}

/** A range of this many decades contains at least two of 1, 2, 5, 10, 20 and so on. */
const minDecades = 0.7;

/**
 * Plotly attributes for the ticks of a logarithmic axis: at 1, 2 and 5 times each power of ten; for a short range,
 * Plotly's default, linear ticks.
 */
function logTicks(values: readonly number[]): { readonly dtick?: "D2" } {
  const shown = values.filter((value) => Number.isFinite(value) && value > 0);
  const [low, high] = shown.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, 0]);
  return Math.log10(high / low) < minDecades ? {} : { dtick: "D2" };
}
