import untyped from "npm:gifenc@1.0.3";
import { encodeGif } from "../viz/image/gif.ts";

/** The functions of gifenc that we use; the package has no types. */
const { applyPalette, quantize } = untyped as {
  quantize(rgba: Uint8Array, most: number): number[][];
  applyPalette(rgba: Uint8ClampedArray, palette: number[][]): Uint8Array;
};

/** The palette comes from every n-th frame, because quantizing all of them would take seconds. */
const every = 2;

/**
 * Encodes frames as an animated GIF of the 255 best-fitting colours, which pauses on the last frame.
 *
 * @param frames RGBA bytes, [side, side, 4] each, opaque
 */
export function gifOfFrames(frames: readonly Uint8ClampedArray[], side: number): Uint8Array<ArrayBuffer> {
  const sampled = frames.filter((_, i) => i % every === 0);
  const rgba = new Uint8Array(sampled.length * 4 * side * side);
  sampled.forEach((frame, i) => rgba.set(frame, 4 * i * side * side));
  const colours = quantize(rgba, 255); // one colour stays free to mark unchanged pixels
  const palette = new Uint8Array(3 * 256);
  colours.forEach((colour, i) => palette.set(colour, 3 * i));
  const pictures = frames.map((frame) => ({
    width: side,
    height: side,
    pixels: applyPalette(frame, colours),
  }));
  return Uint8Array.from(encodeGif(pictures, palette, { delay: 80, hold: 1200 }));
}
