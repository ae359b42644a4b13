import { checkInteger } from "../check.ts";
import { addArrow, type ChartLines } from "../flow/quiver.ts";
import { colormap } from "../image/colormap.ts";
import { type Figure, figure } from "./figure.ts";
import type { FigureLayout, Trace } from "./figure_parts.ts";

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
 * assert.equal(pathsFigure([noise, data]).plotly.frames.length, 2);
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
  const color = colorsOfTime();
  const paths = snapshots.slice(1).map(({ t, image: to }, i): Trace => {
    const { t: start, image: from } = snapshots[i];
    const ends = (axis: 0 | 1) =>
      Array.from({ length: N }, (_, n) => [from[2 * n + axis], to[2 * n + axis], NaN]).flat();
    return { x: ends(0), y: ends(1), color: color((start + t) / 2), size: 0.7 };
  });
  const frames = snapshots.map(({ t, image }) => ({
    label: `t = ${t.toFixed(2)}`,
    traces: [{ ...columns(image, N), mode: "markers", color: "#d55e00", size: 4 } as const],
  }));
  return figure(paths, layout("Paths from noise to data", options), frames);
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
 * assert.equal(arrowsFigure([snapshot]).plotly.frames.length, 1);
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
  const spread = Math.max(spanOf(columns(image, N).x), spanOf(columns(image, N).y));
  const scale = fastest > 0 ? 1.5 * spread / Math.sqrt(N) / fastest : 0;
  const frames = moving.map(({ t, image, velocity }) => ({
    label: `t = ${t.toFixed(2)}`,
    traces: [{ ...arrows(image, velocity, N, scale), size: 1.2, color: "#0072b2" }],
  }));
  return figure([], layout("Velocity", options), frames);
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

function layout(name: string, { title = name, range }: PlaneFigureOptions): FigureLayout {
  return { title, equalAxes: true, width: 640, height: 600, ...range && { xRange: range, yRange: range } };
}

function columns(points: Float32Array, N: number): { x: Float32Array; y: Float32Array } {
  const column = (axis: 0 | 1) => Float32Array.from({ length: N }, (_, n) => points[2 * n + axis]);
  return { x: column(0), y: column(1) };
}

/** Arrows as lines, in the figure's units. */
function arrows(points: Float32Array, velocity: Float32Array, N: number, scale: number): Trace {
  const lines: ChartLines = { x: [], y: [] };
  for (let n = 0; n < N; n++) {
    const [x, y, dx, dy] = [points, velocity].flatMap((values) => [values[2 * n], values[2 * n + 1]]);
    addArrow(lines, x, y, scale * dx, scale * dy);
  }
  return lines;
}

function largest(velocity: Float32Array, N: number): number {
  let longest = 0;
  for (let n = 0; n < N; n++) longest = Math.max(longest, Math.hypot(velocity[2 * n], velocity[2 * n + 1]));
  return longest;
}

function spanOf(values: Float32Array): number {
  return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
}

/** The CSS colour of viridis for t in [0, 1]. */
function colorsOfTime(): (t: number) => string {
  const palette = colormap("viridis");
  return (t) => {
    const at = 3 * Math.round(255 * Math.min(Math.max(t, 0), 1));
    return `rgb(${palette.subarray(at, at + 3).join(",")})`;
  };
}
