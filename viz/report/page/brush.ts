import type { ImageSize } from "../../image/image_shape.ts";
import type { Pixel } from "./image_panel.ts";

/** The paint of a brush: white, black, or new noise. */
export type Brush = "white" | "black" | "noise";

/** Paints on an image, f32[C, H, W]. */
export type Stroke = (image: Float32Array) => Promise<void>;

/**
 * A stroke over pixels; repainting it gives the same values.
 *
 * @param pixels indices in [0, H W)
 * @param toPixels scales noise, f32[C, N], like the network's images
 */
export function strokeOf(
  pixels: readonly number[],
  brush: Brush,
  [C, H, W]: ImageSize,
  toPixels: (noise: Float32Array) => Promise<Float32Array>,
): Stroke {
  const N = pixels.length;
  const paint = new Float32Array(C * N);
  const values = brush === "noise"
    ? toPixels(paint.map(standardNormal))
    : Promise.resolve(paint.fill(brush === "white" ? 1 : 0));
  return async (image) => {
    const own = await values;
    for (let c = 0; c < C; c++) pixels.forEach((pixel, i) => image[c * H * W + pixel] = own[c * N + i]);
  };
}

/** The pixels of an image that a round brush covers between two points, as indices in [0, H W). */
export function coveredBy(from: Pixel, to: Pixel, width: number, size: ImageSize): number[] {
  const steps = Math.max(1, Math.abs(to.row - from.row), Math.abs(to.column - from.column));
  const covered = new Set<number>();
  for (let s = 0; s <= steps; s++) {
    const row = Math.round(from.row + s / steps * (to.row - from.row));
    const column = Math.round(from.column + s / steps * (to.column - from.column));
    for (const pixel of disc(row, column, width, size)) covered.add(pixel);
  }
  return [...covered];
}

/** The pixels of an image within a disc, as indices in [0, H W). */
function disc(row: number, column: number, width: number, [, H, W]: ImageSize): number[] {
  const pixels: number[] = [];
  const reach = Math.floor(width / 2);
  for (let y = Math.max(0, row - reach); y <= Math.min(H - 1, row + reach); y++) {
    for (let x = Math.max(0, column - reach); x <= Math.min(W - 1, column + reach); x++) {
      if (Math.hypot(y - row, x - column) <= width / 2) pixels.push(y * W + x);
    }
  }
  return pixels;
}

/** A standard normal number, by the Box-Muller transform. */
function standardNormal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
