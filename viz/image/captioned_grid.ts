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

/** The layout of a grid of images with captions. */
export interface CaptionedGrid {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /**
   * The picture as an SVG.
   *
   * @param images row by row from the top left, f32[C, H, W] each: 0 black, 1 white
   * @param captions replacements for the captions that the grid was made with
   * @throws {RangeError} if the number of images is not that of cells, or an image has another size or contains NaN
   */
  svg(images: readonly Float32Array[], captions?: Captions): string;
}

/**
 * Lays out images of one size in rows and columns with captions; `rasterizer()` turns the SVG into pixels.
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
 * @param size size of an image, with 1 or 3 channels
 * @throws {RangeError} if there are no cells or the picture would be too large to draw
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
        const expected = `${rows * columns}: ${rows} rows of ${columns}`;
        throw new RangeError(`Cannot ${task}: there are ${images.length} images (expected ${expected})`);
      }
      const cells = images.map((image, i) =>
        svgImage(task, image, size, { at: layout.place(Math.floor(i / columns), i % columns), scale })
      );
      return layout.svg(cells.join(""), words);
    },
  };
}
