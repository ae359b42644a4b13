import {
  type ColormapName,
  encodeApng,
  encodeRasterPng,
  filmstrip,
  type FlowField,
  type FlowFrames,
  flowFrames,
  type FlowFramesOptions,
  flowGif,
  type FlowRow,
  formatSize,
  imageSizeOf,
  type Pacing,
  rasterizer,
} from "../../viz/mod.ts";
import { RunError } from "../run/run_folder.ts";
import type { RunTrajectories } from "./stored_trajectories.ts";
import type { StoredTrajectory } from "./trajectories.ts";

/** Maximum number of samples of one run in one row. */
const maxInRow = 6;

/** Content and look of a picture of trajectories; null leaves the choice to the format. */
export interface PictureOptions {
  readonly format: "gif" | "apng" | "png";
  readonly field: FlowField;
  readonly map: ColormapName | null;
  readonly pacing: Pacing;
  readonly frames: number | null;
  readonly scale: number | null;
  /** Duration of a frame in milliseconds. */
  readonly delay: number;
  /** Duration of the last frame in milliseconds. */
  readonly hold: number;
}

/** The rows of a picture, with their labels. */
export interface TrajectoryRows {
  readonly rows: readonly FlowRow[];
  /** Title of each sample: its class if it has one, else `Sample 1` and so on. */
  readonly columnTitles: readonly string[];
  /** Columns of the grid for one run; by default nearly square. */
  readonly columns?: number;
  /** The guidance, if it is the same for all samples. */
  readonly remark?: string;
  /** Warns if the runs started from different noise. */
  readonly warning?: string;
}

type PictureTexts = Pick<TrajectoryRows, "columnTitles" | "columns" | "remark">;

/**
 * Makes the rows of a picture: one for each run, with samples that all runs store.
 *
 * @param samples their numbers; empty for all that the runs have in common
 * @throws {RunError} if a run does not store a sample, the runs have none in common, or their images differ in size
 */
export function trajectoryRows(
  runs: readonly RunTrajectories[],
  samples: readonly number[],
): TrajectoryRows {
  const common = runs[0].samples.map(({ k }) => k)
    .filter((k) => runs.every((run) => run.samples.some((sample) => sample.k === k)));
  const chosen = samples.length > 0 ? samples : common;
  if (chosen.length === 0) {
    const names = runs.map(({ name }) => name).join(", ");
    throw new RunError(`Cannot draw ${names} together: no sample number is stored by all of them`);
  }
  const sizes = runs.map((run) => formatSize(imageSizeOf(run.samples[0].trajectory)));
  const other = sizes.findIndex((size) => size !== sizes[0]);
  if (other > 0) {
    throw new RunError(
      `Cannot draw ${runs[0].name} and ${runs[other].name} together: their images are ` +
        `${sizes[0]} and ${sizes[other]} (expected one size)`,
    );
  }
  const drawn = runs.map((run) =>
    chosen.map((k) => {
      const sample = run.samples.find((sample) => sample.k === k);
      if (sample) return sample;
      const stored = run.samples.map((sample) => sample.k).join(", ");
      throw new RunError(`Cannot draw sample ${k} of ${run.name}: it stores ${stored}`);
    })
  );
  const seeds = runs.map((run) => run.samples[0].seed);
  return {
    rows: drawn.map((samples, row) => ({
      ...runs.length > 1 && { label: runs[row].name },
      trajectories: samples.map(({ trajectory }) => trajectory),
    })),
    ...sharedTexts(drawn),
    ...new Set(seeds).size > 1 && {
      warning: `The runs start from different noise: their seeds are ${seeds.join(", ")} in the order given`,
    },
  };
}

/** Labels for the samples of all runs; leaves out classes that differ between runs. */
function sharedTexts(runs: readonly (readonly StoredTrajectory[])[]): PictureTexts {
  const [texts, ...more] = runs.map(textsOf);
  const isShared = more.every(({ columnTitles, remark }) =>
    `${columnTitles}` === `${texts.columnTitles}` && remark === texts.remark
  );
  return isShared ? texts : { columnTitles: numbered(runs[0]) };
}

function textsOf(samples: readonly StoredTrajectory[]): PictureTexts {
  if (samples.some(({ label }) => label === undefined)) return { columnTitles: numbered(samples) };
  const { guidance = 1 } = samples[0];
  return {
    columnTitles: samples.map(({ label, className }) => className ?? `${label}`),
    columns: new Set(samples.map(({ label }) => label)).size,
    ...guidance !== 1 && { remark: `guidance ${guidance}` },
  };
}

function numbered(samples: readonly StoredTrajectory[]): string[] {
  return samples.map(({ k }) => `Sample ${k}`);
}

/** The default file name of a picture. */
export function pictureName(
  { field, pacing, format }: Pick<PictureOptions, "field" | "pacing" | "format">,
): string {
  return `flow_${field}_${pacing}.${format === "gif" ? "gif" : "png"}`;
}

/**
 * Draws trajectories: an animation, or a strip of stills with a row for each sample.
 *
 * @returns the bytes of the file, and a line that describes it
 */
export async function drawTrajectories(
  picture: TrajectoryRows,
  { format, field, map, pacing, frames, scale, delay, hold }: PictureOptions,
): Promise<{ readonly bytes: Uint8Array; readonly holds: string }> {
  const draw = await rasterizer();
  const options: FlowFramesOptions = {
    field,
    pacing,
    ...map && { map },
    ...frames !== null && { frames },
    ...scale !== null && { scale },
  };
  try {
    if (format === "png") {
      const still = draw(filmstrip(stripRows(picture), options));
      return { bytes: encodeRasterPng(still), holds: `${still.width} x ${still.height} pixels` };
    }
    const animation = framesOf(picture, options, maxInRow);
    const { times, width, height } = animation;
    const bytes = format === "gif"
      ? flowGif(animation, draw, { delay, hold })
      : encodeApng(times.map((_, i) => draw(animation.svg(i))), { delay, hold });
    return { bytes, holds: `${times.length} frames of ${width} x ${height} pixels` };
  } catch (error) {
    throw error instanceof RangeError ? new RunError(error.message) : error;
  }
}

/** Draws the trajectories of a run as a GIF: one column per class, or all in one row. */
export async function trajectoryGif(
  samples: readonly StoredTrajectory[],
  options: FlowFramesOptions,
): Promise<Uint8Array> {
  const row = { trajectories: samples.map(({ trajectory }) => trajectory) };
  const frames = framesOf({ rows: [row], ...textsOf(samples) }, options, samples.length);
  return flowGif(frames, await rasterizer(), { hold: 1500 });
}

/** Frames with a row for each run, or a grid for one run: one column per class, one row, or nearly square. */
function framesOf(
  { rows, columnTitles, columns, remark }: TrajectoryRows,
  options: FlowFramesOptions,
  maxInRow: number,
): FlowFrames {
  const isOne = rows.length === 1;
  const grid = isOne ? gridOf(rows[0], columns, maxInRow) : rows;
  const isTitled = columnTitles.length > 1 && (!isOne || grid.length === 1 || columns !== undefined);
  return flowFrames(grid, {
    ...options,
    ...isTitled && { columnTitles: columnTitles.slice(0, grid[0].trajectories.length) },
    ...remark && { remark },
  });
}

function gridOf({ trajectories }: FlowRow, columns: number | undefined, maxInRow: number): FlowRow[] {
  const { length } = trajectories;
  const width = columns ?? (length <= maxInRow ? length : Math.ceil(Math.sqrt(length)));
  return Array.from({ length: Math.ceil(length / width) }, (_, row) => ({
    trajectories: trajectories.slice(row * width, (row + 1) * width),
  }));
}

/** A row for each sample, with its run and number. */
function stripRows({ rows, columnTitles }: TrajectoryRows): FlowRow[] {
  return rows.flatMap(({ label, trajectories }) =>
    trajectories.map((trajectory, i) => {
      const words = [label, trajectories.length > 1 ? columnTitles[i] : undefined]
        .filter((word) => word !== undefined);
      return { trajectories: [trajectory], ...words.length > 0 && { label: words.join(", ") } };
    })
  );
}
