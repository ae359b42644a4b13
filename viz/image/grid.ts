import { checkInteger, checkPixels } from "../check.ts";
import { type Displayable, notebookDisplay, showAs } from "./notebook.ts";
import { type ChannelsShape, checkShape, type GreyShape, type ImagesShape } from "./image_shape.ts";
import { magnified, type Picture, type Raster } from "./picture.ts";
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
export function imageGrid(
  images: Float32Array,
  shape: GreyShape,
  options?: GridOptions,
): Picture & Displayable;
/** Tiles images with three channels into one picture in full colour; otherwise like the first signature. */
export function imageGrid(
  images: Float32Array,
  shape: readonly [N: number, C: 3, H: number, W: number],
  options?: GridOptions,
): Raster & Displayable;
/** Tiles images with one or three channels into one picture; otherwise like the first signature. */
export function imageGrid(
  images: Float32Array,
  shape: ImagesShape,
  options?: GridOptions,
): (Picture | Raster) & Displayable;
export function imageGrid(
  images: Float32Array,
  shape: ImagesShape,
  options: GridOptions = {},
): (Picture | Raster) & Displayable {
  const full = checkImages("draw grid", images, shape);
  const [N, C, H, W] = full;
  const { range: [low, high] = [0, 1], columns = Math.ceil(Math.sqrt(N)), scale = 1, gap = 0 } = options;
  checkInteger("draw grid", "columns", columns, 1);
  checkInteger("draw grid", "scale", scale, 1);
  checkInteger("draw grid", "gap", gap, 0);
  if (!Number.isFinite(high - low) || low >= high) {
    throw new RangeError(
      `Cannot draw grid: range is [${low}, ${high}] (expected two finite numbers, the lower first)`,
    );
  }
  const layout = {
    columns,
    scale,
    gap,
    width: columns * (W * scale + gap) - gap,
    height: Math.ceil(N / columns) * (H * scale + gap) - gap,
  };
  checkPixels("draw grid", layout.width, layout.height, "a smaller scale or gap, or fewer images");
  const levels = new Uint8Array(images.length); // a loop, because `Uint8Array.from` takes three times as long
  for (let i = 0; i < images.length; i++) {
    levels[i] = Math.round(255 * Math.min(1, Math.max(0, (images[i] - low) / (high - low))));
  }
  return displayable(C === 1 ? tiled(levels, full, layout) : tiledInColour(levels, full, layout));
}

function displayable<P extends Picture | Raster>(picture: P): P & Displayable {
  return showAs(picture, () => encodePng(magnified(picture, notebookZoom(picture)))[notebookDisplay]());
}

interface Layout extends Required<Pick<GridOptions, "columns" | "scale" | "gap">> {
  readonly width: number;
  readonly height: number;
}

/** Tiles levels u8[N, 1, H, W]. */
function tiled(levels: Uint8Array, [, , H, W]: ChannelsShape, layout: Layout): Picture {
  const { columns, scale, gap, width, height } = layout;
  const [stepY, stepX] = [H * scale + gap, W * scale + gap];
  const pixels = new Uint8Array(width * height);
  for (let i = 0; i < levels.length; i++) {
    const n = Math.floor(i / (H * W));
    const top = Math.floor(n / columns) * stepY + (Math.floor(i / W) % H) * scale;
    const left = (n % columns) * stepX + (i % W) * scale;
    for (let y = top; y < top + scale; y++) {
      pixels.fill(levels[i], y * width + left, y * width + left + scale);
    }
  }
  return { width, height, pixels };
}

/** Tiles levels u8[N, 3, H, W], channel by channel. */
function tiledInColour(levels: Uint8Array, [N, C, H, W]: ChannelsShape, layout: Layout): Raster {
  const P = H * W;
  const channels = Array.from({ length: C }, (_, c) => {
    const channel = new Uint8Array(N * P);
    for (let n = 0; n < N; n++) channel.set(levels.subarray((n * C + c) * P, (n * C + c + 1) * P), n * P);
    return tiled(channel, [N, 1, H, W], layout);
  });
  const [{ width, height }] = channels;
  const rgba = new Uint8Array(4 * width * height).fill(255);
  channels.forEach(({ pixels }, c) => pixels.forEach((level, i) => rgba[4 * i + c] = level));
  return { width, height, rgba };
}

/** Magnification that makes small images readable. */
function notebookZoom({ width, height }: Picture | Raster): number {
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
