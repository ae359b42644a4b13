import { checkInteger } from "../check.ts";
import { colormap } from "../image/colormap.ts";
import { type Figure, figure, type PlotlyTrace, seriesColors } from "./figure.ts";

/** Points of the plane at one time, as `trajectory` yields them. */
export interface PlaneSnapshot {
  /** In [0, 1]: 0 is noise, 1 is data. */
  readonly t: number;
  /** x of each point, f32[N, 2]. */
  readonly image: Float32Array;
  /** v(x, t) at each point, f32[N, 2]. */
  readonly velocity?: Float32Array;
}

/** Options of figures of the plane. */
export interface PlaneFigureOptions {
  /** Above the figure. */
  readonly title?: string;
  /** Number of points to draw, from the first; by default 200 paths, and all arrows. */
  readonly points?: number;
  /** Ends of both axes; by default those of the points. */
  readonly range?: readonly [low: number, high: number];
}

/**
 * Draws the trajectories of points of the plane from noise to data, coloured by time from dark to bright. A slider
 * moves the points along them.
 *
 * @example
 * ```ts
 * import { pathsFigure } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const noise = { t: 0, image: Float32Array.of(0, 0, 1, 1) }; // the points (0, 0) and (1, 1)
 * const data = { t: 1, image: Float32Array.of(2, 0, 3, 1) };
 * assert.equal(pathsFigure([noise, data]).frames?.length, 2);
 * ```
 *
 * @param snapshots in order of time, all with the same number of points
 * @throws {RangeError} if there are fewer than two snapshots, their sizes differ, or `points` is not a positive integer
 */
export function pathsFigure(snapshots: readonly PlaneSnapshot[], options: PlaneFigureOptions = {}): Figure {
  const N = pointsOf(snapshots, { points: options.points ?? 200 });
  if (snapshots.length < 2) {
    throw new RangeError(`Cannot draw paths: there are ${snapshots.length} snapshots (expected at least 2)`);
  }
  const viridis = colormap("viridis");
  const color = (t: number) => {
    const at = 3 * Math.round(255 * t);
    return `rgb(${viridis.subarray(at, at + 3).join(",")})`;
  };
  const paths = snapshots.slice(1).map(({ t, image: to }, i): PlotlyTrace => {
    const { t: start, image: from } = snapshots[i];
    const ends = (axis: 0 | 1) =>
      Float32Array.from(
        Array.from({ length: N }, (_, n) => [from[2 * n + axis], to[2 * n + axis], NaN]).flat(),
      );
    return {
      ...lines,
      x: ends(0),
      y: ends(1),
      line: { color: color((start + t) / 2), width: 0.7 },
    };
  });
  const points = snapshots.map(({ image }) => columns(image, N));
  const style = { mode: "markers", marker: { color: seriesColors[1], size: 4 }, showlegend: false };
  return overTime("Paths from noise to data", options, snapshots, paths, points, style);
}

/**
 * Draws velocities at points of the plane as arrows on one scale, with a slider over time.
 *
 * @example
 * ```ts
 * import { arrowsFigure } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const snapshot = { t: 0, image: Float32Array.of(0, 0, 1, 1), velocity: Float32Array.of(1, 0, 0, 2) };
 * assert.equal(arrowsFigure([snapshot]).frames?.length, 1);
 * ```
 *
 * @param snapshots velocities at points, for example on a grid; snapshots without velocity are skipped
 * @throws {RangeError} if there is no velocity, sizes differ, or `points` is not a positive integer
 */
export function arrowsFigure(snapshots: readonly PlaneSnapshot[], options: PlaneFigureOptions = {}): Figure {
  const N = pointsOf(snapshots, options);
  const moving = snapshots.flatMap(({ t, image, velocity }) => velocity ? [{ t, image, velocity }] : []);
  if (moving.length === 0) {
    throw new RangeError("Cannot draw arrows: no snapshot has a velocity (expected at least one)");
  }
  const fastest = Math.max(...moving.map(({ velocity }) => largest(velocity, N)));
  const [{ image }] = moving;
  const spread = Math.max(
    ...Object.values(columns(image, N)).map((values) => {
      const [low, high] = extentOf([values]);
      return high - low;
    }),
  );
  const scale = fastest > 0 ? 1.5 * spread / Math.sqrt(N) / fastest : 0;
  const drawn = moving.map(({ image, velocity }) => arrows(image, velocity, N, scale));
  const style = { ...lines, line: { color: seriesColors[0], width: 1.2 } };
  return overTime("Velocity", options, moving, [], drawn, style);
}

const lines = { mode: "lines", showlegend: false, hoverinfo: "skip" };

/** A figure of the plane whose last trace moves with a slider over t. */
function overTime(
  name: string,
  { title = name, range }: PlaneFigureOptions,
  times: readonly Pick<PlaneSnapshot, "t">[],
  fixed: readonly PlotlyTrace[],
  moving: readonly Points[],
  style: PlotlyTrace,
): Figure {
  // Plotly would fit its axes to the first frame only.
  const ends = (axis: "x" | "y") => {
    const [low, high] = extentOf([...fixed, ...moving].map((trace) => trace[axis] as Float32Array));
    const room = 0.04 * (high - low) || 1;
    return range ?? [low - room, high + room];
  };
  const atOnce = { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: 0 } };
  const steps = times.map(({ t }, i) => ({
    label: `t = ${t.toFixed(2)}`,
    method: "animate",
    args: [[`${i}`], atOnce],
  }));
  return figure([...fixed, { ...style, ...moving[0] }], {
    title: { text: title },
    width: 640,
    height: 680,
    margin: { t: 50 },
    xaxis: { range: ends("x") },
    yaxis: { range: ends("y"), scaleanchor: "x" },
    sliders: [{ pad: { t: 40 }, steps }],
  }, moving.map((points, i) => ({ name: `${i}`, data: [points], traces: [fixed.length] })));
}

/** Checks the sizes of all snapshots and returns the number of points to draw, by default all. */
function pointsOf(snapshots: readonly PlaneSnapshot[], { points }: PlaneFigureOptions): number {
  if (points !== undefined) checkInteger("draw points", "points", points, 1);
  const length = snapshots[0]?.image.length ?? 0;
  for (const { t, image, velocity = image } of snapshots) {
    if (image.length === length && velocity.length === length && length % 2 === 0) continue;
    throw new RangeError(
      `Cannot draw points: at t = ${t} there are ${image.length} coordinates and ${velocity.length} of velocity ` +
        `(expected ${length}, two per point)`,
    );
  }
  return Math.min(points ?? Infinity, length / 2);
}

type Points = { readonly x: Float32Array; readonly y: Float32Array };

function columns(points: Float32Array, N: number): Points {
  const column = (axis: 0 | 1) => Float32Array.from({ length: N }, (_, n) => points[2 * n + axis]);
  return { x: column(0), y: column(1) };
}

/** Arrows as lines, which Plotly of any version draws: a shaft and a head of two strokes, in the figure's units. */
function arrows(points: Float32Array, velocity: Float32Array, N: number, scale: number): Points {
  const xs: number[] = [];
  const ys: number[] = [];
  for (let n = 0; n < N; n++) {
    const [x, y] = [points[2 * n], points[2 * n + 1]];
    const [dx, dy] = [scale * velocity[2 * n], scale * velocity[2 * n + 1]];
    const [tipX, tipY] = [x + dx, y + dy];
    const [backX, backY] = [x + 0.7 * dx, y + 0.7 * dy]; // where the strokes of the head end
    xs.push(x, tipX, NaN, backX - 0.15 * dy, tipX, backX + 0.15 * dy, NaN);
    ys.push(y, tipY, NaN, backY + 0.15 * dx, tipY, backY - 0.15 * dx, NaN);
  }
  return { x: Float32Array.from(xs), y: Float32Array.from(ys) };
}

function largest(velocity: Float32Array, N: number): number {
  let longest = 0;
  for (let n = 0; n < N; n++) longest = Math.max(longest, Math.hypot(velocity[2 * n], velocity[2 * n + 1]));
  return longest;
}

/** The smallest and largest finite value. */
function extentOf(arrays: readonly Float32Array[]): readonly [low: number, high: number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of arrays.flatMap((values) => [...values])) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}
