// @ts-types="npm:@types/d3-scale@4.0.9"
import { scaleLinear, scaleLog } from "npm:d3-scale@4.0.3";
import { markSvg } from "./point_mark.ts";
import { escapeXml, sheet } from "../image/sheet.ts";
import type { FigureLayout, FigureParts, Trace } from "./figure.ts";

/** Attributes of texts and lines: colours on white, and the classes that {@linkcode darkStyle} colours. */
export const smallText =
  'class="figure-ink" font-family="DejaVu Sans, sans-serif" font-size="10.5" fill="#444"';
const stroke = { axis: 'class="figure-axis" stroke="#444"', grid: 'class="figure-grid" stroke="#e4e4e4"' };

const prefersDark = "(prefers-color-scheme:dark)";

/** The style of an SVG with figures where readers prefer dark pages; colours of traces stay. */
export const darkStyle = `<style>@media ${prefersDark}{.figure-paper{fill:#14171a}` +
  ".figure-ink{fill:#b9bec3}.figure-axis{stroke:#b9bec3}.figure-grid{stroke:#33383d}}</style>";

/** The SVG of a figure in its dark colours, for pages in browsers whose images do not know what readers prefer. */
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
  const { x, y } = axisRanges(parts);
  const panels = shown.length > 0 ? shown : [{ label: "", traces: [] }];
  const side = panels.length === 1 ? width : Math.floor(1.4 * width / panels.length);
  const cell = [side, panels.length === 1 ? height : side] as const;
  const captions = {
    ...title !== undefined && { title },
    ...shown.length > 0 && { columns: shown.map(({ label }) => label) },
  };
  const { place, svg } = sheet([1, panels.length], cell, captions);
  const drawn = panels.map((panel, i) => {
    const content = drawPanel([...traces, ...panel.traces], layout, cell, x, y);
    return `<g transform="translate(${place(0, i).join(" ")})">${content}</g>`;
  });
  return svg(darkStyle + drawn.join(""), captions);
}

type Range = readonly [low: number, high: number];

/** Tick labels of a logarithmic axis (a d3 format): in full, without SI prefixes. */
export const logTickFormat = ",";

/** The ends of both axes: the layout's, else those of the points of all frames. */
export function axisRanges(
  { traces, layout, frames }: FigureParts,
): { readonly x: Range; readonly y: Range } {
  const all = [...traces, ...frames.flatMap(({ traces }) => traces)];
  const { levels = [] } = layout;
  return {
    x: layout.xRange ?? extent(all.map(({ x }) => x), layout.xLog),
    y: layout.yRange ?? extent([...all.map(({ y }) => y), levels.map(({ y }) => y)], layout.yLog),
  };
}

/** The smallest and largest finite value, with a margin; a logarithmic axis ignores values <= 0. */
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

/** Pixels around a panel's axes; on the left at least 52, or the widest tick label and 22. */
const margin = { left: 52, besideLabels: 22, right: 8, top: 6, bottom: 38 };
/** Pixels: width of a digit, room for the title of the vertical axis, gap between tick labels. */
const letter = { digit: 6.7, title: 12, gap: 6 };

function drawPanel(
  traces: readonly Trace[],
  { xTitle = "", yTitle = "", xLog, yLog, equalAxes, levels = [] }: FigureLayout,
  [width, height]: readonly [number, number],
  xRange: Range,
  yRange: Range,
): string {
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
    // Below its line, a name at the upper edge would be cut off otherwise.
    const base = at < 16 ? at + 13 : at - 4;
    return `<path d="M0 ${digits(at)}h${w}" stroke-dasharray="5 4" ${stroke.axis}/>` +
      `<text x="5" y="${digits(base)}" text-anchor="start">${escapeXml(name)}</text>`;
  });
  return `<g transform="translate(${left} ${margin.top})" ${smallText} text-anchor="middle">${
    xTicks.join("")
  }${yTicks.join("")}` +
    `<text x="${w / 2}" y="${h + 31}">${escapeXml(xTitle)}</text>` +
    `<text transform="translate(${letter.title - left} ${h / 2}) rotate(-90)">${escapeXml(yTitle)}</text>` +
    `<svg width="${w}" height="${h}">${levelLines.join("")}${lines.join("")}</svg>` +
    `<path d="M0 0v${h}h${w}" fill="none" ${stroke.axis}/>${legend(traces, w)}</g>`;
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

/** Labels of a horizontal axis and their middles, moved left of `edge` if needed; fewer if they would touch. */
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

/** A range of this length with the same middle. */
function around([low, high]: Range, length: number): [number, number] {
  const middle = (low + high) / 2;
  return [middle - length / 2, middle + length / 2];
}

function drawTrace(
  { x, y, mode = "lines", color, size, mark = "circle" }: Trace,
  toX: (value: number) => number,
  toY: (value: number) => number,
): string {
  let path = "";
  let points = "";
  let broken = true;
  for (let i = 0; i < x.length; i++) {
    const [left, top] = [toX(x[i]), toY(y[i])];
    const drawn = Number.isFinite(left) && Number.isFinite(top);
    if (drawn && mode === "lines") path += `${broken ? "M" : "L"}${digits(left)} ${digits(top)}`;
    else if (drawn) points += markSvg(mark, digits(left), digits(top), (size ?? 5) / 2);
    broken = !drawn;
  }
  return mode === "lines"
    ? `<path d="${path}" fill="none" stroke="${escapeXml(color ?? "")}" stroke-width="${size ?? 1.5}" ` +
      `stroke-linejoin="round"/>`
    : `<g fill="${escapeXml(color ?? "")}">${points}</g>`;
}

function legend(traces: readonly Trace[], width: number): string {
  return traces.filter(({ name }) => name !== undefined).map(({ name = "", color = "" }, i) =>
    `<text x="${width - 28}" y="${14 + 16 * i}" text-anchor="end">${escapeXml(name)}</text>` +
    `<path d="M${width - 24} ${10 + 16 * i}h18" stroke="${escapeXml(color)}" stroke-width="3"/>`
  ).join("");
}

function digits(value: number): number {
  return Math.round(10 * value) / 10;
}
