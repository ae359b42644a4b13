import { checkInteger } from "../check.ts";

/** An indexed picture: one palette index per pixel, rows from the top. */
export interface Picture {
  /** Pixels per row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** Palette indices, u8[height, width]. */
  readonly pixels: Uint8Array;
}

/** A picture in full colour: R, G, B and opacity of each pixel, rows from the top. */
export interface Raster {
  /** Pixels per row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** u8[height, width, 4]. */
  readonly rgba: Uint8Array;
}

/** Throws a {@linkcode RangeError} unless `picture` has a positive size and the right number of pixels. */
export function checkPicture(task: string, picture: Picture | Raster): void {
  const { width, height } = picture;
  const pixels = "pixels" in picture ? picture.pixels.length : picture.rgba.length / 4;
  checkInteger(task, "width", width, 1);
  checkInteger(task, "height", height, 1);
  if (pixels === width * height) return;
  throw new RangeError(
    `Cannot ${task}: picture holds ${pixels} pixels but is ${width} wide and ${height} high ` +
      `(expected ${width * height})`,
  );
}
