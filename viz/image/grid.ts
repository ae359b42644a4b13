import { checkInteger, checkPixels } from "../check.ts";
import { type Displayable, notebookDisplay, showAs } from "./notebook.ts";
import { type ChannelsShape, checkShape, type GreyShape, type ImagesShape } from "./image_shape.ts";
import type { Picture, Raster } from "./picture.ts";
import { encodePng } from "./png.ts";

/** Options of {@linkcode imageGrid}. */
export interface GridOptions {
  /** Values drawn as levels 0 and 255; values outside are clamped; default [0, 1]. */
  readonly range?: readonly [low: number, high: number];
  /** Images per row; default ceil(sqrt(N)). */
  readonly columns?: number;
  /** Pixels along each side of a value; default 1. */
  readonly scale?: number;
  /** Pixels of level 0 between neighbouring images; default 0. */
  readonly gap?: number;
}

/**
 * Tiles images into one picture, row by row from the top left.
 *
 * @example Two images of one value each, side by side
 * ```ts
 * import { imageGrid } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const picture = imageGrid(Float32Array.of(0.2, 1), [2, 1, 1], { gap: 1 });
 * assert.deepEqual(picture, { width: 3, height: 1, pixels: Uint8Array.of(51, 0, 255) });
 * ```
 *
 * @param images values, f32[N, H, W], or f32[N, C, H, W] with C 1 (grey) or 3 (red, green, blue)
 * @param shape shape of the images
 * @returns a picture of rows × (H scale + gap) - gap by columns × (W scale + gap) - gap pixels: indexed for one channel,
 * in full colour for three; a notebook shows it, magnified if small
 * @throws {RangeError} if images do not fill their shape, contain NaN or do not have 1 or 3 channels, if an option is
 * out of range, or if the picture would have more than 2^26 pixels
 */
export function imageGrid<const Shape extends ImagesShape>(
  images: Float32Array,
  shape: Shape,
  options?: GridOptions,
): Tiled<Shape> & Displayable;
export function imageGrid(
  images: Float32Array,
  shape: ImagesShape,
  options: GridOptions = {},
): (Picture | Raster) & Displayable {
  const full = checkImages("draw grid", images, shape);
  const [N, , H, W] = full;
  const { range: [low, high] = [0, 1], columns = Math.ceil(Math.sqrt(N)), scale = 1, gap = 0 } = options;
  checkInteger("draw grid", "columns", columns, 1);
  checkInteger("draw grid", "scale", scale, 1);
  checkInteger("draw grid", "gap", gap, 0);
  if (!Number.isFinite(high - low) || low >= high) {
    throw new RangeError(
      `Cannot draw grid: range is [${low}, ${high}] (expected two finite numbers, the lower first)`,
    );
  }
  const width = columns * (W * scale + gap) - gap;
  const height = Math.ceil(N / columns) * (H * scale + gap) - gap;
  checkPixels("draw grid", width, height, "a smaller scale or gap, or fewer images");
  const levels = new Uint8Array(images.length); // a loop, because `Uint8Array.from` takes three times as long
  for (let i = 0; i < images.length; i++) {
    levels[i] = Math.round(255 * Math.min(1, Math.max(0, (images[i] - low) / (high - low))));
  }
  const draw = (zoom: number) => tiled(levels, full, { columns, scale: zoom * scale, gap: zoom * gap });
  return showAs(draw(1), () => encodePng(draw(notebookZoom(width, height)))[notebookDisplay]());
}

/** The picture of images with one channel is indexed, that of three is in full colour. */
export type Tiled<Shape extends ImagesShape> = Shape extends GreyShape ? Picture
  : Shape extends readonly [number, 3, number, number] ? Raster
  : Picture | Raster;

/** Tiles levels u8[N, C, H, W]. */
function tiled(
  levels: Uint8Array,
  [N, C, H, W]: ChannelsShape,
  { columns, scale, gap }: Required<Pick<GridOptions, "columns" | "scale" | "gap">>,
): Picture | Raster {
  const bytes = C === 1 ? 1 : 4;
  const stepY = H * scale + gap;
  const stepX = W * scale + gap;
  const width = columns * stepX - gap;
  const height = Math.ceil(N / columns) * stepY - gap;
  const pixels = new Uint8Array(bytes * width * height);
  for (let i = 3; bytes === 4 && i < pixels.length; i += 4) pixels[i] = 255; // opaque
  for (let i = 0; i < levels.length; i++) {
    const n = Math.floor(i / (C * H * W));
    const top = Math.floor(n / columns) * stepY + (Math.floor(i / W) % H) * scale;
    const left = (n % columns) * stepX + (i % W) * scale;
    const channel = Math.floor(i / (H * W)) % C;
    for (let y = top; y < top + scale; y++) {
      for (let x = left; x < left + scale; x++) pixels[bytes * (y * width + x) + channel] = levels[i];
    }
  }
  return bytes === 1 ? { width, height, pixels } : { width, height, rgba: pixels };
}

/** Magnification that makes small images readable. */
function notebookZoom(width: number, height: number): number {
  return Math.min(Math.max(Math.floor(560 / Math.max(width, height)), 1), 8);
}

/**
 * Checks that images fill their shape with numbers.
 *
 * @returns the shape [N, C, H, W]
 * @throws {RangeError} if they do not
 */
export function checkImages(task: string, images: Float32Array, shape: ImagesShape): ChannelsShape {
  const full = checkShape(task, shape);
  const [N, C, H, W] = full;
  const size = N * C * H * W;
  if (images.length !== size) {
    const expected = `${size}, f32[${shape.join(", ")}]`;
    throw new RangeError(`Cannot ${task}: images hold ${images.length} values (expected ${expected})`);
  }
  const i = images.findIndex(Number.isNaN);
  if (i < 0) return full;
  const channel = C === 1 ? "" : `channel ${Math.floor(i / (H * W)) % C}, `;
  const where = `${channel}row ${Math.floor(i / W) % H}, column ${i % W}`;
  throw new RangeError(
    `Cannot ${task}: image ${Math.floor(i / (C * H * W))} is NaN at ${where} (expected numbers)`,
  );
}
