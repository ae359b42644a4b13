import { checkInteger } from "../check.ts";

/** An indexed picture: one palette index a pixel, rows from the top. */
export interface Picture {
  /** Pixels in a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** Palette indices, u8[height, width]. */
  readonly pixels: Uint8Array;
}

/** The picture with `zoom` x `zoom` pixels for each. */
export function magnified({ width, height, pixels }: Picture, zoom: number): Picture {
  const large = new Uint8Array(width * height * zoom * zoom);
  for (let y = 0; y < height * zoom; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * zoom;
      large.fill(pixels[Math.floor(y / zoom) * width + x], at, at + zoom);
    }
  }
  return { width: width * zoom, height: height * zoom, pixels: large };
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
