import untyped from "npm:gifenc@1.0.3";
import { encodeGif } from "../viz/image/gif.ts";

/** The part of gifenc in use; the package has no types. */
const { applyPalette, quantize } = untyped as {
  quantize(rgba: Uint8Array, most: number): number[][];
  applyPalette(rgba: Uint8ClampedArray, palette: number[][]): Uint8Array;
};

/** Each n-th frame gives the colours, as that of all would take seconds. */
const every = 2;

/**
 * An animation of frames, in the 255 colours that fit best; the last frame stays for a while.
 *
 * @param frames RGBA bytes, [side, side, 4] each, opaque
 */
export function gifOfFrames(frames: readonly Uint8ClampedArray[], side: number): Uint8Array<ArrayBuffer> {
  const some = frames.filter((_, i) => i % every === 0);
  const rgba = new Uint8Array(some.length * 4 * side * side);
  some.forEach((frame, i) => rgba.set(frame, 4 * i * side * side));
  const colours = quantize(rgba, 255); // an unused colour marks what does not change between frames
  const palette = new Uint8Array(3 * 256);
  colours.forEach((colour, i) => palette.set(colour, 3 * i));
  const pictures = frames.map((frame) => ({
    width: side,
    height: side,
    pixels: applyPalette(frame, colours),
  }));
  return Uint8Array.from(encodeGif(pictures, palette, { delay: 80, hold: 1200 }));
}
