import { plainText, type PlotlyFigure, type PlotlyTrace, seriesMarks } from "../../figure/figure.ts";
import type { PlaneTrajectories } from "../report_data.ts";
import { lastUntil } from "./trajectory_view.ts";

/** The trajectories and real images of a run, with the class that colours each sample. */
export interface DrawnPlane extends PlaneTrajectories {
  /** The class by the judge, else the requested one, or `noClass`. */
  readonly classes: ArrayLike<number>;
}

/** Chooses the class that colours each sample. */
export function colouredPlane(plane: PlaneTrajectories): DrawnPlane {
  const { shape: [, N], judged, conditioning } = plane;
  return { ...plane, classes: judged?.classes ?? conditioning?.labels ?? Array<number>(N).fill(noClass) };
}

/** What of a plane is shown. */
export interface ShownPlane {
  readonly plane: DrawnPlane;
  readonly t: number;
  /** All classes of samples and real images, in ascending order, and those that the reader hid. */
  readonly classes: readonly number[];
  readonly hidden: ReadonlySet<number>;
  /** The sample with a ring around it. */
  readonly chosen: number;
  /** The class of the velocity field, `all`, or `none`. */
  readonly field: number | "all" | "none";
  readonly nameOf: (c: number) => string;
}

/** The label of an unknown class. */
export const noClass = -1;

/** Colours of classes, at least 3:1 against white and against the page's black; they repeat after ten classes. */
const classColors = "#4677bd #c0691a #3a8f52 #cc4f4f #8d68bb #9a6b58 #c25fa0 #757b81 #85831c #1f8b9b".split(
  " ",
);
/** The colour of samples and real images without a class. */
const unclassedColor = "#8a8f96";

/** The time that arrows look ahead. */
const ahead = 0.1;

/** Maximum number of classes for a legend above the chart; a longer legend goes beside it. */
const maxAbove = 12;

/** The classes of samples and real images, in ascending order. */
export function classesOf({ classes, real }: DrawnPlane): number[] {
  const all = [...Array.from(classes), ...Array.from(real.classes ?? [])].filter((c) => c !== noClass);
  return [...new Set(all)].sort((a, b) => a - b);
}

const colorOf = (c: number) => c === noClass ? unclassedColor : classColors[c % classColors.length];
const symbolOf = (c: number) => seriesMarks[Math.max(0, c) % seriesMarks.length];

/** The number of a sample, from 1, with its classes. */
export function sampleText(
  { conditioning, judged }: DrawnPlane,
  n: number,
  nameOf: ShownPlane["nameOf"],
): string {
  const requested = conditioning ? `, requested ${nameOf(conditioning.labels[n])}` : "";
  const seen = judged ? `, classified as ${nameOf(judged.classes[n])}` : "";
  return `sample ${n + 1}${requested}${seen}`;
}

/** Colour and symbol of each point by its class. */
const marksOf = (classes: readonly number[]) => ({
  color: classes.map(colorOf),
  symbol: classes.map(symbolOf),
});

/** Colour of each arrow by its class; arrows take colours as numbers on a scale only. */
function arrowColors(classes: readonly number[]): PlotlyTrace {
  const last = classColors.length; // the colour of samples without a class
  return {
    color: classes.map((c) => c === noClass ? last : c % classColors.length),
    cmin: 0,
    cmax: last,
    colorscale: [...classColors, unclassedColor].map((color, i) => [i / last, color]),
    showscale: false,
  };
}

/** Coordinates of points [N, 2] by index. */
function coordinates(values: Float32Array, indices: readonly number[]): [x: number[], y: number[]] {
  return [indices.map((n) => values[2 * n]), indices.map((n) => values[2 * n + 1])];
}

/** The figure: trails, real images, legend, field, samples with their velocities, and a ring; see {@linkcode movingTraces}. */
export function planeFigure(shown: ShownPlane): PlotlyFigure {
  const { plane, classes, hidden, nameOf } = shown;
  const { shape: [M, N], position, real, classes: own } = plane;
  const entries = classes.map((c): PlotlyTrace => ({
    mode: "markers",
    x: [NaN],
    y: [NaN],
    name: nameOf(c),
    legendgroup: `${c}`,
    visible: hidden.has(c) ? "legendonly" : true,
    hoverinfo: "skip",
    marker: { color: colorOf(c), symbol: symbolOf(c) },
    showlegend: true,
  }));
  // Shapes and not traces, which Plotly would compute again whenever samples move.
  const trails = [...new Set(Array.from(own))].map((c) => {
    const all = Array.from({ length: N }, (_, n) => n).filter((n) => own[n] === c);
    const point = (m: number, n: number) =>
      [0, 1].map((axis) => Number(position[2 * (m * N + n) + axis].toPrecision(4))).join();
    return {
      type: "path",
      path: all.map((n) => `M${Array.from({ length: M }, (_, m) => point(m, n)).join("L")}`).join(""),
      line: { color: colorOf(c), width: 0.7 },
      opacity: 0.35,
      layer: "below",
      visible: !hidden.has(c),
    };
  });
  const realClasses = Array.from(
    { length: real.position.length / 2 },
    (_, i) => real.classes?.[i] ?? noClass,
  );
  const places = [...realClasses.keys()].filter((i) => !hidden.has(realClasses[i]));
  const [x, y] = coordinates(real.position, places);
  const reals: PlotlyTrace = {
    mode: "markers",
    x,
    y,
    marker: { ...marksOf(places.map((i) => realClasses[i])), size: 5, opacity: 0.35 },
    hoverinfo: "skip",
    showlegend: false,
  };
  const [xRange, yRange] = rangesOf(plane);
  const beside = entries.length > maxAbove;
  return {
    data: [reals, ...entries, ...movingTraces(shown)],
    layout: {
      shapes: trails,
      xaxis: { title: { text: "first component" }, range: xRange },
      yaxis: { title: { text: "second component" }, range: yRange, scaleanchor: "x" },
      ...beside && { legend: { orientation: "v", x: 1.02, y: 1, yanchor: "top" } },
    },
  };
}

/** The four last traces of a plane's figure, which move with t. */
export function movingTraces({ plane, t, hidden, chosen, field, nameOf }: ShownPlane): PlotlyTrace[] {
  const { shape: [M, N], t: times, classes, position, velocity } = plane;
  const m = Math.max(0, Math.min(M - 2, lastUntil(times, t)));
  const share = M > 1 ? Math.min(1, (t - times[m]) / (times[m + 1] - times[m])) : 0;
  // A step of Euler's method is a straight line, so positions between snapshots are exact.
  const [from, to] = [m, Math.min(m + 1, M - 1)].map((k) => position.subarray(2 * k * N, 2 * (k + 1) * N));
  const now = from.map((value, i) => value + share * (to[i] - value));
  const moving = t < 1 ? velocity.subarray(2 * m * N, 2 * (m + 1) * N) : new Float32Array(2 * N);
  const indices = Array.from({ length: N }, (_, n) => n);
  const kept = indices.filter((n) => !hidden.has(classes[n]));
  const [x, y] = coordinates(now, kept);
  const [u, v] = coordinates(moving, kept);
  const marks = marksOf(kept.map((n) => classes[n]));
  const ofField = field === "none" ? [] : indices.filter((n) => field === "all" || classes[n] === field);
  const [ringX, ringY] = coordinates(now, kept.filter((n) => n === chosen));
  const arrows = { type: "quiver" as const, lengthmode: "raw", lengthfactor: ahead, showlegend: false };
  return [
    { ...arrows, ...fieldOf(now, moving, ofField, rangesOf(plane)) },
    {
      ...arrows,
      x,
      y,
      u,
      v,
      marker: { ...arrowColors(kept.map((n) => classes[n])), line: { width: 1.2 } },
      hoverinfo: "skip",
    },
    {
      mode: "markers",
      x,
      y,
      customdata: kept,
      text: kept.map((n) => plainText(sampleText(plane, n, nameOf))),
      hovertemplate: `%{text}<br>t = ${t.toFixed(2)}<extra></extra>`,
      marker: { ...marks, size: 9, line: { width: 0 } },
      showlegend: false,
    },
    {
      mode: "markers",
      x: ringX,
      y: ringY,
      marker: { symbol: "circle-open", size: 17, color: classColors[7], line: { width: 2 } },
      hoverinfo: "skip",
      showlegend: false,
    },
  ];
}

/** Points along the longer side of the field's grid, and the number of samples whose mean is drawn opaque. */
const gridPoints = 18;
const opaque = 6;

/**
 * The velocity field on a grid: at each point the mean velocity of the samples within one grid spacing. The more samples,
 * the more opaque.
 *
 * @param indices the samples to average
 */
export function fieldOf(
  position: Float32Array,
  velocity: Float32Array,
  indices: readonly number[],
  [[left, right], [low, high]]: ReturnType<typeof rangesOf>,
): PlotlyTrace {
  const spacing = Math.max(right - left, high - low) / gridPoints;
  const [columns, rows] = [right - left, high - low].map((length) => Math.round(length / spacing));
  const points = Array.from({ length: indices.length === 0 ? 0 : columns * rows }, (_, i) => {
    const [x, y] = [left + (i % columns + 0.5) * spacing, low + (Math.floor(i / columns) + 0.5) * spacing];
    const near = indices.filter((n) => Math.hypot(position[2 * n] - x, position[2 * n + 1] - y) <= spacing);
    const mean = (axis: 0 | 1) => near.reduce((sum, n) => sum + velocity[2 * n + axis], 0) / near.length;
    return { x, y, u: mean(0), v: mean(1), count: near.length };
  }).filter(({ count }) => count > 0);
  return {
    x: points.map(({ x }) => x),
    y: points.map(({ y }) => y),
    u: points.map(({ u }) => u),
    v: points.map(({ v }) => v),
    marker: {
      color: points.map(({ count }) => Math.min(count, opaque)),
      cmin: 0,
      cmax: opaque,
      colorscale: [[0, "rgba(128,134,142,0)"], [0.15, "rgba(128,134,142,0.35)"], [1, "rgba(128,134,142,1)"]],
      showscale: false,
      line: { width: 2 },
    },
    hoverinfo: "skip",
  };
}

/** The range of each axis around all trajectories and real images, with a margin. */
function rangesOf({ position, real }: DrawnPlane): (readonly [low: number, high: number])[] {
  return [0, 1].map((axis) => {
    let [low, high] = [Infinity, -Infinity];
    for (const values of [position, real.position]) {
      for (let i = axis; i < values.length; i += 2) {
        low = Math.min(low, values[i]);
        high = Math.max(high, values[i]);
      }
    }
    const free = 0.06 * (high - low || 1);
    return [low - free, high + free];
  });
}
