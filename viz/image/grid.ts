import { checkInteger } from "../check.ts";
import { type Displayable, notebookDisplay, showAs } from "../figure/notebook.ts";
import { magnified, type Picture } from "./picture.ts";
import { encodePng } from "./png.ts";

/** Number, height and width of single-channel images. */
export type ImagesShape = readonly [N: number, H: number, W: number];

/** Options of {@linkcode grid}. */
export interface GridOptions {
  /** Values drawn as palette index 0 and 255, others are clamped; default [0, 1]. */
  readonly range?: readonly [low: number, high: number];
  /** Images in a row; default ceil(sqrt(N)). */
  readonly columns?: number;
  /** Pixels along each side of a value; default 1. */
  readonly scale?: number;
  /** Pixels of index 0 between neighbouring images; default 0. */
  readonly gap?: number;
}

/**
 * Tiles images into one picture, row by row from the top left.
 *
 * @example Two images of one value each, side by side
 * ```ts
 * import { grid } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const picture = grid(Float32Array.of(0.2, 1), [2, 1, 1], { gap: 1 });
 * assert.deepEqual(picture, { width: 3, height: 1, pixels: Uint8Array.of(51, 0, 255) });
 * ```
 *
 * @param images values, f32[N, H, W]
 * @param shape [N, H, W]
 * @returns picture of rows × (H scale + gap) - gap by columns × (W scale + gap) - gap pixels;
 * a notebook shows it in grey, small ones magnified
 * @throws {RangeError} if images do not fill their shape or hold NaN, or an option is out of range
 */
export function grid(
  images: Float32Array,
  shape: ImagesShape,
  options: GridOptions = {},
): Picture & Displayable {
  checkImages("draw grid", images, shape);
  const [N, H, W] = shape;
  const { range: [low, high] = [0, 1], columns = Math.ceil(Math.sqrt(N)), scale = 1, gap = 0 } = options;
  checkInteger("draw grid", "columns", columns, 1);
  checkInteger("draw grid", "scale", scale, 1);
  checkInteger("draw grid", "gap", gap, 0);
  if (!Number.isFinite(high - low) || low >= high) {
    throw new RangeError(
      `Cannot draw grid: range is [${low}, ${high}] (expected two finite numbers, rising)`,
    );
  }

  const rows = Math.ceil(N / columns);
  const stepY = H * scale + gap;
  const stepX = W * scale + gap;
  const width = columns * stepX - gap;
  const height = rows * stepY - gap;
  const pixels = new Uint8Array(width * height);
  for (let i = 0; i < images.length; i++) {
    const n = Math.floor(i / (H * W));
    const top = Math.floor(n / columns) * stepY + (Math.floor(i / W) % H) * scale;
    const left = (n % columns) * stepX + (i % W) * scale;
    const position = Math.min(1, Math.max(0, (images[i] - low) / (high - low)));
    for (let y = top; y < top + scale; y++) {
      pixels.fill(Math.round(255 * position), y * width + left, y * width + left + scale);
    }
  }
  const picture = { width, height, pixels };
  return showAs(picture, () => encodePng(magnified(picture, notebookZoom(picture)))[notebookDisplay]());
}

/** How many times larger a notebook shows a picture, so that small images can be read. */
function notebookZoom({ width, height }: Picture): number {
  return Math.min(Math.max(Math.floor(560 / Math.max(width, height)), 1), 8);
}

/** Throws a {@linkcode RangeError} unless `images` fill `shape` with numbers. */
export function checkImages(task: string, images: Float32Array, shape: ImagesShape): void {
  const [N, H, W] = shape;
  checkInteger(task, "N", N, 1);
  checkInteger(task, "H", H, 1);
  checkInteger(task, "W", W, 1);
  if (images.length !== N * H * W) {
    throw new RangeError(
      `Cannot ${task}: images hold ${images.length} values (expected ${N * H * W}, f32[${shape.join(", ")}])`,
    );
  }
  const i = images.findIndex(Number.isNaN);
  if (i >= 0) {
    throw new RangeError(
      `Cannot ${task}: image ${Math.floor(i / (H * W))} is NaN at row ${Math.floor(i / W) % H}, ` +
        `column ${i % W} (expected numbers)`,
    );
  }
}
