import { checkInteger, checkName } from "../check.ts";
import { checkTrajectory, imageSizeOf, type Trajectory } from "./trajectory.ts";
import { type ColormapName, defaultMaps } from "../image/colormap.ts";
import { formatSize } from "../image/image_shape.ts";
import { type FlowCell, flowCell, type FlowField, flowFields } from "./flow_cell.ts";
import { pace, type Pacing } from "./pacing.ts";
import { type Captions, sheet } from "../image/sheet.ts";

/** Trajectories shown side by side, one for each sample of a model. */
export interface FlowRow {
  /** Text left of the row. */
  readonly label?: string;
  /** At least one; all have the same image size. */
  readonly trajectories: readonly Trajectory[];
}

/** Options of {@linkcode flowFrames} and {@linkcode filmstrip}. */
export interface FlowFramesOptions {
  /** Default `quiver`. */
  readonly field?: FlowField;
  /** Default `rdbu` for `velocity`, else `magma`; images with three channels keep their colours. */
  readonly map?: ColormapName;
  /** Pixels along each side of a value; default 14, or fewer to keep rows within 760 pixels. */
  readonly scale?: number;
  /** Spacing of frames over time; default `linear`. */
  readonly pacing?: Pacing;
  /** Number of frames; default 100, for a filmstrip 8. */
  readonly frames?: number;
  /** Text above each column of an animation, e.g. `Sample 1`. */
  readonly columnTitles?: readonly string[];
  /** End of an animation's title, e.g. `guidance 1.5`. */
  readonly remark?: string;
}

/** An animation before it is drawn: its frames are SVGs of one size. */
export interface FlowFrames {
  /** Width of each frame in pixels. */
  readonly width: number;
  /** Height of each frame in pixels. */
  readonly height: number;
  /** t of each frame, from the first snapshot to the last. */
  readonly times: readonly number[];
  /** The SVG of a frame. */
  svg(frame: number): string;
}

/**
 * Describes an animation of flows: each frame shows all samples at one t, from their nearest snapshots.
 *
 * The title is `t = 0.37`; with several samples it also names the pacing.
 *
 * @example
 * ```ts
 * import { flowFrames } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const trajectory = {
 *   t: Float32Array.of(0, 0.5, 1),
 *   image: new Float32Array(3 * 28 * 28),
 *   velocity: new Float32Array(2 * 28 * 28),
 *   shape: [3, 28, 28],
 * } as const;
 * const frames = flowFrames([{ trajectories: [trajectory] }], { frames: 5 });
 * assert.deepEqual(frames.times, [0, 0.5, 0.5, 1, 1]);
 * assert.match(frames.svg(1), /t = 0.50/);
 * ```
 *
 * @param rows at least one trajectory in each, all of one image size
 * @throws {RangeError} if a trajectory's arrays do not match its shape, image sizes differ or an option is out of range;
 * `svg()` throws it if a snapshot holds NaN or a velocity drawn as arrows is not finite
 * @throws {TypeError} if there is no such field, pacing or colour map
 */
export function flowFrames(rows: readonly FlowRow[], options: FlowFramesOptions = {}): FlowFrames {
  const { pacing = "linear", frames = 100, columnTitles, remark } = options;
  const columns = Math.max(...rows.map(({ trajectories }) => trajectories.length));
  const cell = cellFor(rows, columns, options);
  const times = frameTimes(rows, pacing, frames);
  const single = rows.length === 1 && columns === 1;
  const captions = (t: number) => ({
    title: [`t = ${t.toFixed(2)}`, single ? [] : `${pacing} pacing`, remark ?? []].flat().join(", "),
    columns: columnTitles,
    rows: labels(rows),
    note: cell.note,
  });
  const layout = sheet([rows.length, columns], [cell.width, cell.height], captions(0));
  return {
    width: layout.width,
    height: layout.height,
    times,
    svg(frame) {
      const t = times[frame];
      const cells = rows.flatMap(({ trajectories }, row) =>
        trajectories.map((trajectory, column) => cell.draw(trajectory, t, ...layout.place(row, column)))
      );
      return layout.svg(cells.join(""), captions(t));
    },
  };
}

/**
 * Draws trajectories as a still image: one row per sample, one column for each of `frames` times.
 *
 * @returns an SVG
 * @throws the errors of {@linkcode flowFrames}
 */
export function filmstrip(rows: readonly FlowRow[], options: FlowFramesOptions = {}): string {
  const { pacing = "linear", frames = 8 } = options;
  const cell = cellFor(rows, frames, options);
  const times = frameTimes(rows, pacing, frames);
  const lines = rows.flatMap(({ trajectories, label }) =>
    trajectories.map((trajectory) => ({ trajectory, label }))
  );
  const columns = times.map((t) => `t = ${t.toFixed(2)}`);
  const captions: Captions = { columns, rows: labels(lines), note: cell.note };
  const layout = sheet([lines.length, times.length], [cell.width, cell.height], captions);
  const cells = lines.flatMap(({ trajectory }, row) =>
    times.map((t, column) => cell.draw(trajectory, t, ...layout.place(row, column)))
  );
  return layout.svg(cells.join(""), captions);
}

/** The captions of rows; undefined if no row has a label. */
function labels(rows: readonly { readonly label?: string }[]): readonly string[] | undefined {
  return rows.some(({ label }) => label) ? rows.map(({ label = "" }) => label) : undefined;
}

/** Checks all trajectories and prepares to draw them. */
function cellFor(rows: readonly FlowRow[], columns: number, options: FlowFramesOptions): FlowCell {
  const task = "draw flow";
  const trajectories = rows.flatMap(({ trajectories }) => trajectories);
  if (rows.length === 0 || rows.some(({ trajectories }) => trajectories.length === 0)) {
    throw new RangeError(`Cannot ${task}: a row has no trajectories (expected at least one in each)`);
  }
  trajectories.forEach((trajectory) => checkTrajectory(task, trajectory));
  const sizes = trajectories.map(imageSizeOf);
  const [size] = sizes;
  const other = sizes.find((another) => `${another}` !== `${size}`);
  if (other) {
    throw new RangeError(
      `Cannot ${task}: images are ${formatSize(size)} but also ${formatSize(other)} (expected one size)`,
    );
  }
  const [, , W] = size;
  const { field = "quiver", scale = Math.min(Math.max(Math.floor((760 / columns - 6) / W), 1), 14) } =
    options;
  checkInteger(task, "scale", scale, 1);
  checkName(task, "field", field, flowFields);
  const { map = field === "velocity" ? defaultMaps.signed : defaultMaps.image } = options;
  return flowCell(trajectories, { field, map, scale });
}

/** Times of the frames, taken from the trajectory with the most snapshots. */
function frameTimes(rows: readonly FlowRow[], pacing: Pacing, frames: number): number[] {
  const all = rows.flatMap(({ trajectories }) => trajectories);
  const finest = all.reduce((best, other) => other.shape[0] > best.shape[0] ? other : best);
  return pace(pacing, finest.t, frames).map((m) => finest.t[m]);
}
