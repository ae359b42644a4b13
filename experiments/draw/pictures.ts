import { join } from "node:path";
import {
  captionedGrid,
  type ColormapName,
  encodeApng,
  encodePng,
  encodeRasterPng,
  filmstrip,
  type FlowField,
  type FlowFrames,
  flowFrames,
  type FlowFramesOptions,
  flowGif,
  type FlowRow,
  formatSize,
  imageGrid,
  type ImageSize,
  imageSizeOf,
  type Pacing,
  rasterizer,
} from "../../viz/mod.ts";
import { makeFolder, RunError, writeAtomic } from "../run/run_folder.ts";
import { fileAt, runFile, runFolder } from "../run/files.ts";
import { type Drawable, type Drawing, drawSamples, gridLook as look, isFlowMap } from "./samples.ts";
import { evaluationsOf } from "../../models/mod.ts";
import type { FixedSteps } from "../cli/solver.ts";
import { type Conditioning, formatGuidance } from "./conditioning.ts";
import type { RunTrajectories, StoredTrajectory } from "./trajectories.ts";

/**
 * Encodes a grid of samples as a PNG, grey or in colour.
 *
 * @param pixels f32[count, C, H, W]
 * @param columns 0 for a nearly square grid
 */
export function samplesPng(
  pixels: Float32Array,
  count: number,
  shape: ImageSize,
  columns = 0,
): Uint8Array {
  return encodePng(imageGrid(pixels, [count, ...shape], { ...look, ...columns > 0 && { columns } }));
}

/** Number of columns of a grid that {@linkcode samplesPng} encoded, of images of this width. */
export function columnsOf(png: Uint8Array, width: number): number {
  const { buffer, byteOffset } = png;
  return (new DataView(buffer, byteOffset).getUint32(16) + look.gap) / (look.scale * width + look.gap);
}

/**
 * Draws the samples of a run, and writes them as `samples.png` or, for a step, `samples/step_<step>.png`.
 *
 * @returns the picture's path relative to the run
 */
export async function writeSampleGrid(
  run: string,
  drawable: Drawable,
  drawing: Drawing,
  step?: number,
): Promise<string> {
  const path = step === undefined ? runFile.samples : fileAt(runFile.sampleGrid, step);
  const { pixels } = await drawSamples(drawable, drawing);
  if (step !== undefined) await makeFolder(run, runFolder.samples);
  await writeAtomic(join(run, path), samplesPng(pixels, drawing.count, drawable.shape, drawing.columns));
  return path;
}

/** A row of the picture: a network, its solver, and the conditioning of its samples. */
export interface FewStepsRow {
  readonly drawable: Drawable;
  readonly how: FixedSteps;
  readonly conditioning?: Conditioning | undefined;
  /** Caption to the left of the row, such as `flow, 4`. */
  readonly caption: string;
}

const numbers = [1, 2, 4, 8];
/** Steps of Heun's method in the last row. */
const heunSteps = 10;
/** Evaluations of the last row: its last step is Euler's. */
const mostEvaluations = 2 * heunSteps - 1;

/** Evaluations of all rows of a network. */
export const comparedEvaluations = [...numbers, mostEvaluations].reduce((a, b) => a + b);

/** The rows of a network: 1, 2, 4, 8 and 19 evaluations, by its map if it is one, else by Euler's and Heun's methods. */
export function fewStepsRows(drawable: Drawable, conditioning: Conditioning | undefined): FewStepsRow[] {
  const isMap = isFlowMap(drawable.model);
  const few = numbers.map((steps): FewStepsRow => ({
    drawable,
    conditioning,
    how: { solver: isMap ? "map" : "euler", steps },
    caption: `${isMap ? "map" : "flow"}, ${steps}`,
  }));
  const many: FewStepsRow = {
    drawable,
    conditioning,
    how: { solver: "heun", steps: heunSteps },
    caption: `flow, ${mostEvaluations}`,
  };
  return [...few, many];
}

/**
 * Writes a picture of images from the same noise with few and many evaluations, one row per number.
 *
 * @param path of a PNG
 * @param count images in a row
 * @param headings above the columns, such as classes
 */
export async function writeFewSteps(
  path: string,
  rows: readonly FewStepsRow[],
  { count, seed, headings }: {
    readonly count: number;
    readonly seed: number;
    readonly headings: readonly string[] | undefined;
  },
  onProgress: (evaluations: number) => void = () => {},
): Promise<void> {
  const images: Float32Array[] = [];
  let evaluations = 0;
  for (const { drawable, how, conditioning } of rows) {
    const each = evaluationsOf(how, drawable.model)!;
    const { pixels } = await drawSamples(
      drawable,
      { count, seed, conditioning, ...how },
      (done) => onProgress(evaluations + done * each),
    );
    const size = pixels.length / count;
    for (let n = 0; n < count; n++) images.push(pixels.subarray(n * size, (n + 1) * size));
    evaluations += each * count;
  }
  const { shape } = rows[0].drawable;
  const [{ conditioning }] = rows;
  const guidance = conditioning ? `; ${formatGuidance(conditioning.guidance)}` : "";
  const captions = {
    rows: rows.map(({ caption }) => caption),
    columns: headings,
    note: `Evaluations of the network, from the same noise${guidance}`,
  };
  const width = Math.min(112, Math.max(56, 560 / count)); // few columns are wider, for their captions
  const scale = Math.max(1, Math.round(width / shape[2]));
  const svg = captionedGrid(images, [rows.length, count], shape, { captions, scale });
  await writeAtomic(path, encodeRasterPng((await rasterizer())(svg)));
}

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
  const [texts, ...more] = drawn.map(textsOf);
  const isShared = more.every(({ columnTitles, remark }) =>
    `${columnTitles}` === `${texts.columnTitles}` && remark === texts.remark
  );
  let warning: string | undefined;
  if (new Set(seeds).size > 1) {
    warning = `The runs start from different noise: their seeds are ${seeds.join(", ")} in the order given`;
  }
  return {
    rows: drawn.map((samples, row) => ({
      label: runs.length > 1 ? runs[row].name : undefined,
      trajectories: samples.map(({ trajectory }) => trajectory),
    })),
    ...isShared ? texts : { columnTitles: numbered(drawn[0]) }, // classes differ between the runs
    warning,
  };
}

function textsOf(samples: readonly StoredTrajectory[]): PictureTexts {
  if (samples.some(({ label }) => label === undefined)) return { columnTitles: numbered(samples) };
  const { guidance = 1 } = samples[0];
  return {
    columnTitles: samples.map(({ label, className }) => className ?? `${label}`),
    columns: new Set(samples.map(({ label }) => label)).size,
    remark: guidance === 1 ? undefined : `guidance ${guidance}`,
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
    map: map ?? undefined,
    frames: frames ?? undefined,
    scale: scale ?? undefined,
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
    columnTitles: isTitled ? columnTitles.slice(0, grid[0].trajectories.length) : undefined,
    remark,
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
      return { trajectories: [trajectory], label: words.length > 0 ? words.join(", ") : undefined };
    })
  );
}
