import { join } from "node:path";
import { maxPixels } from "../../viz/check.ts";
import { encodePng, imageGrid, type ImageSize } from "../../viz/mod.ts";
import { makeFolder, RunError, writeAtomic } from "../run/run_folder.ts";
import { fileAt, runFile, runFolder } from "../run/files.ts";
import { type Drawable, type Drawing, drawSamples } from "./samples.ts";

/** Width of an image pixel and gap between images, in pixels of the picture. */
const look = { scale: 3, gap: 2 } as const;

/**
 * Checks, before images are drawn, that they fit in one grid.
 *
 * @throws {RunError} if there are too many, or they do not have one or three channels
 */
export function checkGrid(count: number, [C, H, W]: ImageSize): void {
  if (C !== 1 && C !== 3) {
    throw new RunError(
      `Cannot draw images of ${C} channels as a picture (expected 1 or 3, or a file that ends with .npy)`,
    );
  }
  const cell = (look.scale * H + look.gap) * (look.scale * W + look.gap);
  const most = Math.floor(maxPixels / cell);
  if (count <= most) return;
  throw new RunError(
    most === 0
      ? `Cannot draw images of ${H} x ${W} as a picture: they are too large (expected a file that ends with .npy)`
      : `Cannot draw ${count} images of ${H} x ${W} in one grid (expected at most ${most}, or a file that ends with .npy)`,
  );
}

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
