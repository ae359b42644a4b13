import type { Palette } from "./colormap.ts";
import { checkImages, grid } from "./grid.ts";
import { encodePng } from "./png.ts";
import type { ImageSize } from "./image_shape.ts";

/** Where and how an image stands in an SVG. */
export interface SvgImageOptions {
  /** Its left and upper edge. */
  readonly at: readonly [x: number, y: number];
  /** Pixels along each side of a value. */
  readonly scale: number;
  /** Values drawn as the first and the last colour; default [0, 1]. */
  readonly range?: readonly [low: number, high: number];
  /** Colours of an image of one channel; default grey. */
  readonly palette?: Palette;
}

/**
 * An image as a part of an SVG, its pixels with sharp edges.
 *
 * @param task what is drawn, for errors
 * @param values f32[C, H, W]
 * @throws {RangeError} if the values do not fill the size, hold NaN or have other than 1 or 3 channels
 */
export function svgImage(
  task: string,
  values: Float32Array,
  [C, H, W]: ImageSize,
  { at: [x, y], scale, range = [0, 1], palette }: SvgImageOptions,
): string {
  const shape = [1, C, H, W] as const;
  checkImages(task, values, shape);
  const png = encodePng(grid(values, shape, { range }), palette);
  return `<image x="${x}" y="${y}" width="${W * scale}" height="${H * scale}" preserveAspectRatio="none" ` +
    `image-rendering="optimizeSpeed" href="data:image/png;base64,${png.toBase64()}"/>`;
}
