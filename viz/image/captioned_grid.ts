import { checkInteger } from "../check.ts";
import type { ImageSize } from "./image_shape.ts";
import { type Captions, sheet, svgImage } from "./sheet.ts";

/** Options of {@linkcode captionedGrid}. */
export interface CaptionedGridOptions {
  /** Text around the images. */
  readonly captions?: Captions;
  /** Pixels along each side of a value; by default images are about 84 pixels wide. */
  readonly scale?: number;
}

/**
 * Draws images of one size in rows and columns with captions, as an SVG; `rasterizer()` turns it into pixels.
 *
 * @example
 * ```ts
 * import { captionedGrid } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const captions = { columns: ["black", "white"] };
 * const images = [Float32Array.of(0), Float32Array.of(1)];
 * assert.match(captionedGrid(images, [1, 2], [1, 1, 1], { captions }), /<text .*>white<\/text>/);
 * ```
 *
 * @param images row by row from the top left, f32[C, H, W] each: 0 black, 1 white
 * @param counts rows and columns
 * @param size size of an image, with 1 or 3 channels
 * @throws {RangeError} if the number of images is not that of cells, an image has another size or contains NaN, or the
 * picture would be too large to draw
 */
export function captionedGrid(
  images: readonly Float32Array[],
  [rows, columns]: readonly [rows: number, columns: number],
  size: ImageSize,
  { captions = {}, scale = Math.max(1, Math.round(84 / size[2])) }: CaptionedGridOptions = {},
): string {
  const task = "draw images with captions";
  for (const [name, value] of Object.entries({ rows, columns, scale })) checkInteger(task, name, value, 1);
  if (images.length !== rows * columns) {
    const expected = `${rows * columns}: ${rows} rows of ${columns}`;
    throw new RangeError(`Cannot ${task}: there are ${images.length} images (expected ${expected})`);
  }
  const layout = sheet([rows, columns], [size[2] * scale, size[1] * scale], captions);
  const cells = images.map((image, i) =>
    svgImage(task, image, size, { at: layout.place(Math.floor(i / columns), i % columns), scale })
  );
  return layout.svg(cells.join(""), captions);
}
