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

/** Draws each pixel as `zoom` x `zoom` pixels. */
export function magnified<P extends Picture | Raster>(picture: P, zoom: number): P {
  const [width, height] = [picture.width * zoom, picture.height * zoom];
  if ("pixels" in picture) {
    return { width, height, pixels: enlarged(picture.pixels, picture.width, zoom) } as P;
  }
  const { rgba } = picture;
  const words = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.length / 4);
  return { width, height, rgba: new Uint8Array(enlarged(words, picture.width, zoom).buffer) } as P;
}

function enlarged<A extends Uint8Array | Uint32Array>(pixels: A, width: number, zoom: number): A {
  const large = new (pixels.constructor as new (length: number) => A)(pixels.length * zoom * zoom);
  for (let at = 0; at < large.length; at += zoom) {
    const [x, y] = [at / zoom % width, Math.floor(at / (width * zoom * zoom))];
    large.fill(pixels[y * width + x], at, at + zoom);
  }
  return large;
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
