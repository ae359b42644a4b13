import { checkInteger } from "./check.ts";

/** An indexed picture: one palette index a pixel, rows from the top. */
export interface Picture {
  /** Pixels in a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** Palette indices, u8[height, width]. */
  readonly pixels: Uint8Array;
}

/** Throws a {@linkcode RangeError} unless the sides of `picture` are positive and its pixels fill them. */
export function checkPicture(task: string, { width, height, pixels }: Picture): void {
  checkInteger(task, "width", width, 1);
  checkInteger(task, "height", height, 1);
  if (pixels.length === width * height) return;
  throw new RangeError(
    `Cannot ${task}: picture holds ${pixels.length} pixels but is ${width} wide and ${height} high ` +
      `(expected ${width * height})`,
  );
}
