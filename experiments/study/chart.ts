/** The chart of a study: quality against cost, with intervals over seeds. */

import {
  logAxis,
  panelNumber,
  type PlotlyFigure,
  type PlotlyTrace,
  seriesColors,
  seriesMarks,
} from "../../viz/mod.ts";
import { meaningOf, shownFigure, titleOf } from "../evaluation/figures.ts";
import { type CostName, costNames, costs } from "./columns.ts";
import { counted, formatMean } from "./findings.ts";
import type { SeedMean } from "./seed_means.ts";
import type { Setup, Summary } from "./summary.ts";

/** A point of a panel. */
interface Point {
  readonly x: number;
  readonly quality: SeedMean;
}

/**
 * The figures of the conclusion against the costs that have an axis, as a row of panels, with intervals over seeds and
 * a line at the value of real images. A cost that is equal for all points has no panel; undefined without panels.
 */
export function qualityFigure({ setups, primaries }: Summary): PlotlyFigure | undefined {
  const data: PlotlyTrace[] = [];
  const shapes: object[] = [];
  const axes: Record<string, object> = {};
  const named = new Set<string>(); // setups in the legend
  let columns = 0;
  for (const { key, real } of primaries) {
    for (const name of costNames) {
      const drawn = setups.map((setup) => pointsOf(setup, name, key));
      const x = drawn.flat().map(({ x }) => x);
      if (costs[name].axis === undefined || new Set(x).size < 2) continue;
      const n = panelNumber(columns++);
      for (const [i, points] of drawn.entries()) {
        if (points.length === 0) continue;
        const { label } = setups[i];
        data.push({
          ...traceOf(points, i, key),
          name: label,
          legendgroup: label,
          showlegend: !named.has(label),
          xaxis: `x${n}`,
          yaxis: `y${n}`,
        });
        named.add(label);
      }
      if (real !== undefined) shapes.push(realLine(key, real, n));
      const y = drawn.flat().flatMap(({ quality }) => [quality.mean, ...quality.interval ?? []]);
      const isWide = spansDecade(real === undefined ? y : [...y, real]);
      const title = `${titleOf(key)}: ${meaningOf(key).better} is better`;
      axes[`xaxis${n}`] = {
        title: { text: costs[name].axis },
        ...spansDecade(x) ? logAxis : { rangemode: "tozero" },
      };
      axes[`yaxis${n}`] = { title: { text: title }, ...isWide ? logAxis : {} };
    }
  }
  if (columns === 0) return undefined;
  const grid = { rows: 1, columns, pattern: "independent" };
  return { data, layout: { grid, height: 380, showlegend: true, shapes, ...axes } };
}

/** A line across panel n at the value of real images. */
function realLine(key: string, real: number, n: string) {
  return {
    type: "line",
    xref: `x${n} domain`,
    yref: `y${n}`,
    x0: 0,
    x1: 1,
    y0: real,
    y1: real,
    line: { dash: "dash" },
    label: { text: `real images: ${shownFigure(key, real)}`, textposition: "start", padding: 4 },
  };
}

/** Quality at the end of training, and before it if it was measured and the cost grows. */
function pointsOf({ steps, milestones, figures, costs: of }: Setup, name: CostName, key: string): Point[] {
  const cost = of[name];
  if (!cost) return [];
  const earlier = costs[name].grows ? milestones : [];
  return [...earlier, { step: steps, figures }].flatMap(({ step, figures }) => {
    const quality = figures[key];
    return quality ? [{ x: cost.mean * step / steps, quality }] : []; // training has a constant speed
  });
}

/** Points of setup i with their intervals, and a line through them; neighbours differ in colour and shape. */
function traceOf(points: readonly Point[], i: number, key: string): PlotlyTrace {
  const color = seriesColors[i % seriesColors.length];
  const reach = (end: 0 | 1) =>
    points.map(({ quality: { mean, interval } }) => interval ? Math.abs(interval[end] - mean) : 0);
  return {
    mode: points.length > 1 ? "lines+markers" : "markers",
    x: points.map(({ x }) => x),
    y: points.map(({ quality }) => quality.mean),
    error_y: {
      type: "data",
      symmetric: false,
      array: reach(1),
      arrayminus: reach(0),
      thickness: 1.5,
      width: 3,
    },
    line: { color, width: 1.5 },
    marker: { color, symbol: seriesMarks[i % seriesMarks.length], size: 9 },
    text: points.map(({ quality }) =>
      `${formatMean(key, quality)}, ${counted(quality.seeds.length, "seed")}`
    ),
    hovertemplate: "%{x:,}: %{text}",
  };
}

/** Whether values span a decade, which a logarithmic axis shows better. */
function spansDecade(values: readonly number[]): boolean {
  return Math.min(...values) > 0 && Math.max(...values) >= 10 * Math.min(...values);
}
