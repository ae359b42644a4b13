// @ts-types="npm:@types/upng-js@2.1.5"
import UPNG from "npm:upng-js@2.1.0";
import { checkDurations, checkSizes, type Timing } from "./gif.ts";
import { type ImageFile, imageFile } from "./notebook.ts";
import type { Raster } from "./picture.ts";

/** Maximum duration of a frame in milliseconds: a file stores it in 16 bits. */
export const maxMs = 65_535;

/**
 * Encodes frames as an animated PNG in full colour that plays in an endless loop.
 *
 * @param frames at least one, all of one size
 * @returns bytes of a `.png` file, which a notebook plays; viewers without animation show the first frame
 * @throws {RangeError} if there is no frame, sizes differ, or a duration is out of range
 */
export function encodeApng(
  frames: readonly Raster[],
  { delay = 50, hold = delay }: Timing = {},
): ImageFile {
  checkSizes("encode APNG", frames);
  checkDurations("encode APNG", { delay, hold }, maxMs);
  const delays = frames.map((_, i) => i === frames.length - 1 ? hold : delay);
  const [{ width, height }] = frames;
  const lossless = 0;
  return imageFile(
    new Uint8Array(UPNG.encode(frames.map(withRoom), width, height, lossless, delays)),
    "image/png",
  );
}

/** Pads a frame: upng-js sizes its output buffer by the frames, which is too short for tiny frames and for noise. */
function withRoom({ width, height, rgba }: Raster): ArrayBuffer {
  const paletteAndChunks = 2048;
  const filterBytes = 4 * (width + height);
  const bytes = new Uint8Array(rgba.length + paletteAndChunks + filterBytes).fill(255);
  bytes.set(rgba);
  return bytes.buffer;
}
