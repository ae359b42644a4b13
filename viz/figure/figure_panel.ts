// @ts-types="npm:@types/d3-scale@4.0.9"
import { scaleLinear, scaleLog } from "npm:d3-scale@4.0.3";
import type { FigureLayout, Trace } from "./figure.ts";
import { escapeXml } from "../image/sheet.ts";

/** Ends of an axis. */
export type Range = readonly [low: number, high: number];

/** Pixels around a panel's axes. */
const margin = { left: 52, right: 8, top: 6, bottom: 38 };

/** Draws traces within axes, as SVG. */
export function drawPanel(
  traces: readonly Trace[],
  { xTitle = "", yTitle = "", xLog, yLog, equalAxes }: FigureLayout,
  [width, height]: readonly [number, number],
  xRange: Range,
  yRange: Range,
): string {
  const [w, h] = [width - margin.left - margin.right, height - margin.top - margin.bottom];
  const unit = Math.max((xRange[1] - xRange[0]) / w, (yRange[1] - yRange[0]) / h);
  const x = scaleOf(xLog).domain(equalAxes ? around(xRange, unit * w) : xRange).range([
    0,
    w,
  ]);
  const y = scaleOf(yLog).domain(equalAxes ? around(yRange, unit * h) : yRange)
    .range([h, 0]);
  const yCount = Math.max(h / 50, 2);
  const xCount = equalAxes ? yCount * w / h : Math.max(w / 90, 2);
  const xName = x.tickFormat(xCount);
  const yName = y.tickFormat(yCount);
  const xTicks = x.ticks(xCount).filter((value) => xName(value) !== "").map((value) => {
    const at = digits(x(value));
    return `<path d="M${at} 0v${h}" stroke="#e4e4e4"/><text x="${at}" y="${h + 14}">${xName(value)}</text>`;
  });
  const yTicks = y.ticks(yCount).filter((value) => yName(value) !== "").map((value) => {
    const at = digits(y(value));
    return `<path d="M0 ${at}h${w}" stroke="#e4e4e4"/>` +
      `<text x="-6" y="${digits(y(value) + 3.5)}" text-anchor="end">${yName(value)}</text>`;
  });
  const lines = traces.map((trace) =>
    drawTrace(
      trace,
      (value) => xLog && value <= 0 ? NaN : x(value),
      (value) => yLog && value <= 0 ? NaN : y(value),
    )
  );
  return `<g transform="translate(${margin.left} ${margin.top})" font-family="DejaVu Sans" font-size="10.5" ` +
    `fill="#444" text-anchor="middle">${xTicks.join("")}${yTicks.join("")}` +
    `<text x="${w / 2}" y="${h + 31}">${escapeXml(xTitle)}</text>` +
    `<text transform="translate(-40 ${h / 2}) rotate(-90)">${escapeXml(yTitle)}</text>` +
    `<svg width="${w}" height="${h}">${lines.join("")}</svg>` +
    `<path d="M0 0v${h}h${w}" fill="none" stroke="#444"/>${legend(traces, w)}</g>`;
}

function scaleOf(log: FigureLayout["xLog"]) {
  return log ? scaleLog().base(log === 2 ? 2 : 10) : scaleLinear();
}

/** A range of another length with the same middle. */
function around([low, high]: Range, length: number): [number, number] {
  const middle = (low + high) / 2;
  return [middle - length / 2, middle + length / 2];
}

function drawTrace(
  { x, y, mode = "lines", color, size }: Trace,
  toX: (value: number) => number,
  toY: (value: number) => number,
): string {
  let path = "";
  let circles = "";
  let broken = true;
  for (let i = 0; i < x.length; i++) {
    const [left, top] = [toX(x[i]), toY(y[i])];
    const drawn = Number.isFinite(left) && Number.isFinite(top);
    if (drawn && mode === "lines") path += `${broken ? "M" : "L"}${digits(left)} ${digits(top)}`;
    else if (drawn) circles += `<circle cx="${digits(left)}" cy="${digits(top)}" r="${(size ?? 5) / 2}"/>`;
    broken = !drawn;
  }
  return mode === "lines"
    ? `<path d="${path}" fill="none" stroke="${escapeXml(color ?? "")}" stroke-width="${size ?? 1.5}" ` +
      `stroke-linejoin="round"/>`
    : `<g fill="${escapeXml(color ?? "")}">${circles}</g>`;
}

function legend(traces: readonly Trace[], width: number): string {
  return traces.filter(({ name }) => name !== undefined).map(({ name = "", color = "" }, i) =>
    `<text x="${width - 28}" y="${14 + 16 * i}" text-anchor="end">${escapeXml(name)}</text>` +
    `<path d="M${width - 24} ${10 + 16 * i}h18" stroke="${escapeXml(color)}" stroke-width="3"/>`
  ).join("");
}

function digits(value: number): string {
  return String(Math.round(10 * value) / 10);
}
