/** PNG files made by an independent encoder. */

import { dirname, join } from "node:path";
import { encode, type ImageData, type PngEncoderOptions } from "npm:fast-png@8.0.0";

/** A PNG file whose values are given by position, or count up. */
export function pngFile(
  { width, height, channels = 1, depth = 8, ...rest }: Omit<ImageData, "data">,
  valueAt: (i: number) => number = (i) => i,
  options?: PngEncoderOptions,
): Uint8Array<ArrayBuffer> {
  const values = Array.from({ length: width * height * channels }, (_, i) => valueAt(i));
  const data = depth === 16 ? Uint16Array.from(values) : Uint8Array.from(values);
  return Uint8Array.from(encode({ width, height, channels, depth, data, ...rest }, options));
}

/** A PNG file of 12x12 pixels with a bright spot; with three channels, later ones are darker. */
export function spot(n: number, channels: 1 | 3 = 1): Uint8Array<ArrayBuffer> {
  return pngFile({ width: 12, height: 12, channels }, (i) => {
    const [pixel, channel] = [Math.floor(i / channels), i % channels];
    const [x, y] = [pixel % 12 - 3 - n % 7, Math.floor(pixel / 12) - 3 - n % 5];
    return Math.round(255 * Math.exp(-(x * x + y * y) / 6) / (channel + 1));
  });
}

/** Writes files below a folder, with the subfolders in their names. */
export async function writeFiles(folder: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
    await Deno.writeFile(join(folder, name), bytes);
  }
}

/** Spots for some classes: `count` files each, named `class/n.png`. */
export function spotsOf(
  classes: readonly string[],
  count: number,
  channels: 1 | 3 = 1,
): Record<string, Uint8Array> {
  return Object.fromEntries(
    classes.flatMap((name, c) =>
      Array.from({ length: count }, (_, n) => [`${name}/${n}.png`, spot(c + n * classes.length, channels)])
    ),
  );
}
