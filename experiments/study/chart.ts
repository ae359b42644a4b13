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

/** A figure against a cost. */
interface Panel {
  readonly key: string;
  /** The figure's value for real images. */
  readonly real?: number;
  /** Title of the axis of the cost. */
  readonly axis: string;
  /** The points of each setup. */
  readonly drawn: readonly (readonly Point[])[];
}

/** A point of a panel. */
interface Point {
  readonly x: number;
  readonly quality: SeedMean;
}

/**
 * The figures of the conclusion against the costs that have an axis, as a row of panels, with intervals over seeds and
 * a line at the value of real images. A cost that is equal for all points has no panel; undefined without panels.
 */
export function qualityFigure(summary: Summary): PlotlyFigure | undefined {
  const panels = panelsOf(summary);
  if (panels.length === 0) return undefined;
  const data: PlotlyTrace[] = [];
  const shapes: object[] = [];
  const axes: Record<string, object> = {};
  const named = new Set<string>(); // setups in the legend
  for (const [n, { key, real, axis, drawn }] of panels.entries()) {
    const number = panelNumber(n);
    for (const [i, points] of drawn.entries()) {
      if (points.length === 0) continue;
      const { label } = summary.setups[i];
      data.push({
        ...traceOf(points, i, key),
        name: label,
        legendgroup: label,
        showlegend: !named.has(label),
        xaxis: `x${number}`,
        yaxis: `y${number}`,
      });
      named.add(label);
    }
    const all = drawn.flat();
    const y = all.flatMap(({ quality }) => [quality.mean, ...quality.interval ?? []]);
    if (real !== undefined) {
      y.push(real);
      shapes.push({
        type: "line",
        xref: `x${number} domain`,
        yref: `y${number}`,
        x0: 0,
        x1: 1,
        y0: real,
        y1: real,
        line: { dash: "dash" },
        label: { text: `real images: ${shownFigure(key, real)}`, textposition: "start", padding: 4 },
      });
    }
    const better = `${titleOf(key)}: ${meaningOf(key).better} is better`;
    const isWide = spansDecade(all.map(({ x }) => x));
    axes[`xaxis${number}`] = { title: { text: axis }, ...isWide ? logAxis : { rangemode: "tozero" } };
    axes[`yaxis${number}`] = { title: { text: better }, ...spansDecade(y) ? logAxis : {} };
  }
  const grid = { rows: 1, columns: panels.length, pattern: "independent" };
  return { data, layout: { grid, height: 380, showlegend: true, shapes, ...axes } };
}

function panelsOf({ setups, primaries }: Summary): Panel[] {
  const panels: Panel[] = [];
  for (const { key, real } of primaries) {
    for (const name of costNames) {
      const { axis } = costs[name];
      if (axis === undefined) continue;
      const drawn = setups.map((setup) => pointsOf(setup, name, key));
      if (new Set(drawn.flat().map(({ x }) => x)).size > 1) panels.push({ key, real, axis, drawn });
    }
  }
  return panels;
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
