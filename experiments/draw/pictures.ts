import { join } from "node:path";
import { slice } from "../../kernels/mod.ts";
import { fullBatches } from "../../models/solve/full_batches.ts";
import { noise, sample, Sampler } from "../../models/mod.ts";
import {
  encodePng,
  type Evolution,
  flowFrames,
  type FlowFramesOptions,
  flowGif,
  grid,
  rasterizer,
} from "../../viz/mod.ts";
import type { Drawable, Drawing } from "./evolve.ts";
import { hearSignals } from "../program/command.ts";
import { pixelsOf } from "../data/image_source.ts";
import { RunError, writeAtomic } from "../run/run_folder.ts";
import { runFile, runFolder, sampleGridFile } from "../run/layout.ts";

/** Milliseconds that the finished image at the end of an animation is shown. */
export const hold = 1500;

/** Samples as pixels in [0, 1] (values beyond are kept), f32[count, H, W] on the host. Synchronous up to the read-back. */
export function drawSamples(
  { model, normalization, imageSize }: Drawable,
  drawing: Drawing,
): Promise<Float32Array> {
  const x1 = sample(model, { ...drawing, shape: [1, ...imageSize] });
  return x1.read().then((values) => pixelsOf(values, normalization));
}

/** Most images to work on at once where progress is shown. */
const batch = 64;

/**
 * Samples as `drawSamples` draws them, to the bit, in batches.
 *
 * @param onProgress hears how many are done: of a batch, its share of the steps
 */
export async function drawSamplesInBatches(
  { model, normalization, imageSize }: Drawable,
  { count, seed, steps, solver }: Drawing,
  onProgress: (done: number) => void,
): Promise<Float32Array> {
  const shape = [1, ...imageSize];
  const size = imageSize[0] * imageSize[1];
  const { length, batches } = fullBatches(count, batch);
  const x0 = noise(seed, [count, ...shape]);
  const sampler = new Sampler(model, [length, ...shape], { steps, solver });
  const pixels = new Float32Array(count * size);
  for (const { from, fresh } of batches) {
    let done = 0;
    for await (const { image, velocity } of sampler.trajectory(slice(x0, 0, from, length))) {
      if (velocity) onProgress(Math.floor(fresh + (from + length - fresh) * ++done / steps));
      else pixels.set(pixelsOf(image, normalization), from * size);
    }
    await hearSignals();
  }
  return pixels;
}

/** Pixels of the largest grid. */
const mostPixels = 2 ** 26;
/** Pixels along each side of an image's pixel, and between images. */
const look = { scale: 3, gap: 2 } as const;

/**
 * Checks that images fit in one grid, before they are drawn.
 *
 * @throws {RunError} if they do not
 */
export function checkGrid(count: number, [H, W]: readonly [number, number]): void {
  const cell = (look.scale * H + look.gap) * (look.scale * W + look.gap);
  const most = Math.floor(mostPixels / cell);
  if (count <= most) return;
  throw new RunError(
    `Cannot draw ${count} images of ${H} x ${W} in one grid (expected at most ${most}, or a file that ends with .npy)`,
  );
}

/** A grid of samples as a PNG. */
export function samplesPng(
  pixels: Float32Array,
  count: number,
  imageSize: readonly [number, number],
  columns = 0,
): Uint8Array {
  return encodePng(grid(pixels, [count, ...imageSize], { ...look, ...columns > 0 && { columns } }));
}

/** An animation of samples on their way from noise, side by side, as a GIF. */
export async function flowAnimation(
  evolutions: readonly Evolution[],
  options: FlowFramesOptions,
): Promise<Uint8Array> {
  const columnTitles = evolutions.length > 1 ? evolutions.map((_, i) => `Sample ${i + 1}`) : undefined;
  const frames = flowFrames([{ evolutions }], { ...options, ...columnTitles && { columnTitles } });
  return flowGif(frames, await rasterizer(), { hold });
}

/**
 * Writes the samples of a step as `samples/step_<step>.png`.
 *
 * @returns the picture's path below the run
 */
export async function writeSampleGrid(
  run: string,
  step: number,
  drawable: Drawable,
  drawing: Drawing,
): Promise<string> {
  const path = sampleGridFile(step);
  const pixels = await drawSamples(drawable, drawing);
  await Deno.mkdir(join(run, runFolder.samples), { recursive: true });
  await writeAtomic(join(run, path), samplesPng(pixels, drawing.count, drawable.imageSize));
  return path;
}

/** Writes `samples.png` of a run. */
export async function writeSamples(
  run: string,
  drawable: Drawable,
  drawing: Drawing,
): Promise<void> {
  const pixels = await drawSamples(drawable, drawing);
  await writeAtomic(join(run, runFile.samples), samplesPng(pixels, drawing.count, drawable.imageSize));
}
