import { checkInteger } from "../check.ts";
import type { ImageSize } from "./image_shape.ts";
import { type Captions, sheet, svgImage } from "./sheet.ts";

/** Options of {@linkcode captionedGrid}. */
export interface CaptionedGridOptions {
  /** Text around the images. */
  readonly captions?: Captions;
  /** Pixels along each side of a value; default what makes images about 84 pixels wide. */
  readonly scale?: number;
}

/** A grid of images with captions, laid out before its images are there. */
export interface CaptionedGrid {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /**
   * The picture as an SVG.
   *
   * @param images row by row from the top left, f32[C, H, W] each: 0 black, 1 white
   * @param captions instead of the given ones, in their room
   * @throws {RangeError} if there is not one image for each cell, or one does not fill its size or holds NaN
   */
  svg(images: readonly Float32Array[], captions?: Captions): string;
}

/**
 * Lays out images of one size in rows and columns with captions; resvg draws them (`rasterizer`).
 *
 * @example
 * ```ts
 * import { captionedGrid } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const captions = { columns: ["black", "white"] };
 * const { svg } = captionedGrid([1, 2], [1, 1, 1], { scale: 28, captions });
 * assert.match(svg([Float32Array.of(0), Float32Array.of(1)]), /<text .*>white<\/text>/);
 * ```
 *
 * @param counts rows and columns
 * @param size of an image; it has 1 channel or 3
 * @throws {RangeError} if there are no cells, or the picture would be too large to draw
 */
export function captionedGrid(
  counts: readonly [rows: number, columns: number],
  size: ImageSize,
  { captions = {}, scale = Math.max(1, Math.round(84 / size[2])) }: CaptionedGridOptions = {},
): CaptionedGrid {
  const task = "draw images with captions";
  const [rows, columns] = counts;
  checkInteger(task, "rows", rows, 1);
  checkInteger(task, "columns", columns, 1);
  checkInteger(task, "scale", scale, 1);
  const layout = sheet(counts, [size[2] * scale, size[1] * scale], captions);
  return {
    width: layout.width,
    height: layout.height,
    svg(images, words = captions) {
      if (images.length !== rows * columns) {
        throw new RangeError(
          `Cannot ${task}: there are ${images.length} images (expected ${rows * columns}, ` +
            `${rows} rows of ${columns})`,
        );
      }
      const cells = images.map((image, i) =>
        svgImage(task, image, size, { at: layout.place(Math.floor(i / columns), i % columns), scale })
      );
      return layout.svg(cells.join(""), words);
    },
  };
}
