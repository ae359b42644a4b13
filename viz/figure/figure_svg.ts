// @ts-types="npm:@types/d3-scale@4.0.9"
import { scaleLinear, scaleLog } from "npm:d3-scale@4.0.3";
import { markSvg } from "./point_mark.ts";
import { escapeXml, sheet } from "../image/sheet.ts";
import type { FigureLayout, FigureParts, Trace } from "./figure_parts.ts";

/** A trace as panels can draw it; pages need more kinds than {@linkcode Trace}. */
export interface DrawnTrace extends Omit<Trace, "mode" | "size"> {
  /** Default `lines`. */
  readonly mode?: "lines" | "markers" | "lines+markers" | "bars";
  /** Pixels: width of a line, or diameter of all points or of each. */
  readonly size?: number | readonly number[];
  /** Lengths of dashes and gaps. */
  readonly dash?: string | undefined;
  /** Default 1. */
  readonly opacity?: number;
  /** Width of bars, in units of x. */
  readonly barWidth?: number;
  /** Ends of the interval of each y: drawn as a band around a line, or as whiskers on points. */
  readonly interval?: { readonly low: ArrayLike<number>; readonly high: ArrayLike<number> };
}

/** A drawn panel: its markup, and the positions of values, in pixels from its left and upper edge. */
export interface Panel {
  /** Content of an SVG. */
  readonly svg: string;
  /** The area between the axes. */
  readonly area: {
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
  };
  /** Position of a value of x; NaN if a logarithmic axis cannot show it. */
  toX(value: number): number;
  /** Position of a value of y; NaN if a logarithmic axis cannot show it. */
  toY(value: number): number;
}

/** Attributes of texts and lines: colours on white, and the classes that {@linkcode darkStyle} colours. */
export const smallText =
  'class="figure-ink" font-family="DejaVu Sans, sans-serif" font-size="10.5" fill="#444"';
const stroke = { axis: 'class="figure-axis" stroke="#444"', grid: 'class="figure-grid" stroke="#e4e4e4"' };

const prefersDark = "(prefers-color-scheme:dark)";

/** The style of figures in an SVG for readers who prefer dark pages; colours of traces stay. */
export const darkStyle = `<style>@media ${prefersDark}{.figure-paper{fill:#14171a}` +
  ".figure-ink{fill:#b9bec3}.figure-axis{stroke:#b9bec3}.figure-grid{stroke:#33383d}}</style>";

/** The SVG of a figure in dark colours, for browsers whose images ignore the preferred colour scheme. */
export function darkSvg(svg: string): string {
  return svg.replaceAll(prefersDark, "all");
}

/** Draws a figure as SVG, with up to four frames side by side. */
export function figureSvg(parts: FigureParts): string {
  const { traces, layout, frames } = parts;
  const { width = 700, height = 400, title } = layout;
  const count = Math.min(frames.length, 4);
  const shown = Array.from(
    { length: count },
    (_, i) => frames[count === 1 ? 0 : Math.round(i * (frames.length - 1) / (count - 1))],
  );
  const ranges = axisRanges(parts);
  const panels = shown.length > 0 ? shown : [{ label: "", traces: [] }];
  const side = panels.length === 1 ? width : Math.floor(1.4 * width / panels.length);
  const cell = [side, panels.length === 1 ? height : side] as const;
  const captions = {
    ...title !== undefined && { title },
    ...shown.length > 0 && { columns: shown.map(({ label }) => label) },
  };
  const { place, svg } = sheet([1, panels.length], cell, captions);
  const drawn = panels.map((panel, i) => {
    const all = [...traces, ...panel.traces];
    const { svg, area } = drawPanel(all, layout, cell, ranges);
    return `<g transform="translate(${place(0, i).join(" ")})">${svg}${legend(all, area)}</g>`;
  });
  return svg(darkStyle + drawn.join(""), captions);
}

type Range = readonly [low: number, high: number];

/** Tick labels of a logarithmic axis (a d3 format): written out, without SI prefixes. */
export const logTickFormat = ",";

/** The ends of both axes. */
export type Ranges = Readonly<Record<"x" | "y", Range>>;

/**
 * The ends of both axes: from the layout, or else from the points of all frames.
 *
 * @param empty ends of an axis without values; if absent, such an axis is an error
 */
export function axisRanges(
  { traces, layout, frames = [] }: {
    readonly traces: readonly DrawnTrace[];
    readonly layout: FigureLayout;
    readonly frames?: FigureParts["frames"];
  },
  empty?: Range,
): Ranges {
  const all: readonly DrawnTrace[] = [...traces, ...frames.flatMap(({ traces }) => traces)];
  const levels = (layout.levels ?? []).map(({ y }) => y);
  const heights = all.flatMap(({ y, interval, mode }) => [
    y,
    ...interval ? [interval.low, interval.high] : [],
    ...mode === "bars" ? [[0]] : [],
  ]);
  return {
    x: layout.xRange ?? extent(all.map(({ x }) => x), layout.xLog, empty),
    y: layout.yRange ?? extent([...heights, levels], layout.yLog, empty),
  };
}

/** The smallest and largest finite value, with a margin; a logarithmic axis ignores values <= 0. */
function extent(
  arrays: readonly ArrayLike<number>[],
  log: FigureLayout["xLog"] = false,
  empty?: Range,
): Range {
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
    if (empty) return empty;
    throw new RangeError(
      `Cannot draw figure: an axis has no ${log ? "positive " : ""}finite value (expected at least one)`,
    );
  }
  if (log) return [low / 1.1, high * 1.1];
  const room = (high - low) * 0.04 || Math.abs(high) / 10 || 1;
  return [low - room, high + room];
}

/** Pixels around a panel's axes; on the left at least 52, or the widest tick label plus 22. */
const margin = { left: 52, besideLabels: 22, right: 8, top: 6, bottom: 38 };
/** Pixels: width of a digit, room for the title of the vertical axis, gap between tick labels. */
const letter = { digit: 6.7, title: 12, gap: 6 };

/** Draws traces between axes; colours and fonts are classes that a style sheet can change. */
export function drawPanel(
  traces: readonly DrawnTrace[],
  { xTitle = "", yTitle = "", xLog, yLog, equalAxes, levels = [] }: FigureLayout,
  [width, height]: readonly [number, number],
  { x: xRange, y: yRange }: Ranges,
): Panel {
  const h = height - margin.top - margin.bottom;
  const scalesOf = (w: number) => {
    const unit = Math.max((xRange[1] - xRange[0]) / w, (yRange[1] - yRange[0]) / h);
    return {
      x: scaleOf(xLog).domain(equalAxes ? around(xRange, unit * w) : xRange).range([0, w]),
      y: scaleOf(yLog).domain(equalAxes ? around(yRange, unit * h) : yRange).range([h, 0]),
    };
  };
  const yCount = Math.max(h / 50, 2);
  const names = labelsOf(scalesOf(width - margin.left - margin.right).y, yCount, yLog);
  const widest = letter.digit * Math.max(0, ...names.map(({ name }) => name.length));
  const left = Math.max(margin.left, Math.ceil(widest) + margin.besideLabels);
  const w = width - left - margin.right;
  const { x, y } = scalesOf(w);
  const xCount = equalAxes ? yCount * w / h : Math.max(w / 90, 2);
  const xTicks = labelsApart(x, xCount, xLog, w + margin.right).map(({ value, name, middle }) =>
    `<path d="M${digits(x(value))} 0v${h}" ${stroke.grid}/>` +
    `<text x="${digits(middle)}" y="${h + 14}">${name}</text>`
  );
  const yTicks = labelsOf(y, yCount, yLog).map(({ value, name }) => {
    const at = digits(y(value));
    return `<path d="M0 ${at}h${w}" ${stroke.grid}/>` +
      `<text x="-6" y="${digits(y(value) + 3.5)}" text-anchor="end">${name}</text>`;
  });
  const toX = (value: number) => xLog && value <= 0 ? NaN : x(value);
  const toY = (value: number) => yLog && value <= 0 ? NaN : y(value);
  const lines = traces.map((trace) => drawTrace(trace, toX, toY));
  const levelLines = levels.map(({ y, name }) => {
    const at = toY(y);
    // At the upper edge, the name goes below its line so that it is not cut off.
    const base = at < 16 ? at + 13 : at - 4;
    return `<path d="M0 ${digits(at)}h${w}" stroke-dasharray="5 4" ${stroke.axis}/>` +
      `<text x="5" y="${digits(base)}" text-anchor="start">${escapeXml(name)}</text>`;
  });
  const svg =
    `<g transform="translate(${left} ${margin.top})" ${smallText} text-anchor="middle">${xTicks.join("")}${
      yTicks.join("")
    }` +
    `<text x="${w / 2}" y="${h + 31}">${escapeXml(xTitle)}</text>` +
    `<text transform="translate(${letter.title - left} ${h / 2}) rotate(-90)">${escapeXml(yTitle)}</text>` +
    `<svg width="${w}" height="${h}">${levelLines.join("")}${lines.join("")}</svg>` +
    `<path d="M0 0v${h}h${w}" fill="none" ${stroke.axis}/></g>`;
  return {
    svg,
    area: { left, top: margin.top, width: w, height: h },
    toX: (value) => left + toX(value),
    toY: (value) => margin.top + toY(value),
  };
}

function scaleOf(log: FigureLayout["xLog"]) {
  return log ? scaleLog().base(log === 2 ? 2 : 10) : scaleLinear();
}

type Scale = ReturnType<typeof scaleOf>;

/** A tick with its label. */
interface Label {
  readonly value: number;
  readonly name: string;
}

/** About `count` ticks with their labels. */
function labelsOf(scale: Scale, count: number, log: FigureLayout["xLog"]): Label[] {
  const nameOf = log ? scale.tickFormat(count, logTickFormat) : scale.tickFormat(count);
  const labels = scale.ticks(count).map((value) => ({ value, name: nameOf(value) }))
    .filter(({ name }) => name !== "");
  // A short logarithmic axis gets linear ticks.
  return log && labels.length < 2 ? labelsOf(scaleLinear().domain(scale.domain()), count, false) : labels;
}

/** Labels of a horizontal axis and their centres, moved left of `edge` if needed; fewer if they would touch. */
function labelsApart(
  scale: Scale,
  count: number,
  log: FigureLayout["xLog"],
  edge: number,
): (Label & { readonly middle: number })[] {
  const halfOf = (name: string) => letter.digit * name.length / 2;
  const labels = labelsOf(scale, count, log).map((label) => {
    return { ...label, middle: Math.min(scale(label.value), edge - halfOf(label.name)) };
  });
  const touch = labels.slice(1).some(({ name, middle }, i) => {
    return middle - labels[i].middle < halfOf(labels[i].name) + halfOf(name) + letter.gap;
  });
  return touch && count > 1 ? labelsApart(scale, count - 1, log, edge) : labels;
}

/** A range of this length with the same centre. */
function around([low, high]: Range, length: number): [number, number] {
  const middle = (low + high) / 2;
  return [middle - length / 2, middle + length / 2];
}

function drawTrace(
  trace: DrawnTrace,
  toX: (value: number) => number,
  toY: (value: number) => number,
): string {
  const { x, y, mode = "lines", size, mark = "circle", dash, opacity, interval, barWidth = 0 } = trace;
  const color = escapeXml(trace.color ?? "");
  const places = Array.from(x, (value, i): Place => [toX(value), toY(y[i])]);
  const parts: string[] = [];
  if (interval && mode === "lines") {
    const [high, low] = [interval.high, interval.low].map((ends) =>
      places.map(([left], i): Place => [left, toY(ends[i])])
    );
    parts.push(`<path d="${lineThrough([...high, ...low.reverse()])}z" fill="${color}" opacity=".16"/>`);
  } else if (interval) {
    const whiskers = places.flatMap(([left], i): Place[] => [
      ...[interval.low[i], interval.high[i]].map((end): Place => [left, toY(end)]),
      [NaN, NaN],
    ]);
    parts.push(`<path d="${lineThrough(whiskers)}" fill="none" stroke="${color}"/>`);
  }
  if (mode.startsWith("lines")) {
    const width = typeof size === "number" ? size : 1.5;
    parts.push(
      `<path d="${lineThrough(places)}" fill="none" stroke="${color}" stroke-width="${width}" ` +
        `stroke-linejoin="round"${dash ? ` stroke-dasharray="${dash}"` : ""}/>`,
    );
  }
  const drawn = places.flatMap(([left, top], i) => Number.isFinite(left + top) ? [{ left, top, i }] : []);
  if (mode.endsWith("markers")) {
    const radius = (i: number) =>
      (typeof size === "object" ? size[i] : mode === "markers" ? size ?? 5 : 5) / 2;
    const points = drawn.map(({ left, top, i }) => markSvg(mark, digits(left), digits(top), radius(i)));
    parts.push(`<g fill="${color}">${points.join("")}</g>`);
  }
  if (mode === "bars") {
    const [width, base] = [toX(barWidth) - toX(0), toY(0)];
    const bars = drawn.map(({ left, top }) =>
      `<path d="M${digits(left - width / 2)} ${digits(base)}V${digits(top)}h${digits(width)}V${
        digits(base)
      }z"/>`
    );
    parts.push(`<g fill="${color}">${bars.join("")}</g>`);
  }
  return opacity === undefined ? parts.join("") : `<g opacity="${opacity}">${parts.join("")}</g>`;
}

type Place = readonly [left: number, top: number];

/** The path of a line, broken where a position is not finite. */
function lineThrough(places: readonly Place[]): string {
  let broken = true;
  return places.map(([left, top]) => {
    const isDrawn = Number.isFinite(left) && Number.isFinite(top);
    const command = !isDrawn ? "" : `${broken ? "M" : "L"}${digits(left)} ${digits(top)}`;
    broken = !isDrawn;
    return command;
  }).join("");
}

/** The legend in the upper right corner of a still image. */
function legend(traces: readonly Trace[], { left, top, width }: Panel["area"]): string {
  const entries = traces.filter(({ name }) => name !== undefined).map(({ name = "", color = "" }, i) =>
    `<text x="${width - 28}" y="${14 + 16 * i}" text-anchor="end">${escapeXml(name)}</text>` +
    `<path d="M${width - 24} ${10 + 16 * i}h18" stroke="${escapeXml(color)}" stroke-width="3"/>`
  );
  return `<g transform="translate(${left} ${top})" ${smallText}>${entries.join("")}</g>`;
}

function digits(value: number): number {
  return Math.round(10 * value) / 10;
}
