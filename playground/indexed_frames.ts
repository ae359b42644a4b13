import type { Palette } from "../viz/image/colormap.ts";
import type { Picture } from "../viz/image/picture.ts";

/** Bits of each channel that tell colours apart. */
const bits = 5;

/**
 * Frames in at most 256 colours, the most frequent ones; each pixel gets the nearest of them.
 *
 * @param frames RGBA bytes, [side, side, 4] each, opaque
 */
export function indexedFrames(
  frames: readonly Uint8ClampedArray[],
  side: number,
): { readonly pictures: readonly Picture[]; readonly palette: Palette } {
  const shift = 8 - bits;
  const cellAt = (frame: Uint8ClampedArray, i: number) =>
    (frame[4 * i] >> shift << 2 * bits) | (frame[4 * i + 1] >> shift << bits) | frame[4 * i + 2] >> shift;
  const counts = new Uint32Array(1 << 3 * bits);
  const colours = new Map<number, readonly [number, number, number]>();
  for (const frame of frames) {
    for (let i = 0; i < side * side; i++) {
      const cell = cellAt(frame, i);
      if (counts[cell]++ === 0) colours.set(cell, [frame[4 * i], frame[4 * i + 1], frame[4 * i + 2]]);
    }
  }
  const cells = [...colours.keys()].sort((a, b) => counts[b] - counts[a]);
  const palette = new Uint8Array(3 * 256);
  const kept = cells.slice(0, 255); // an unused colour marks what does not change between frames
  kept.forEach((cell, i) => palette.set(colours.get(cell)!, 3 * i));
  const indexOf = new Uint8Array(1 << 3 * bits);
  for (const cell of cells) {
    const [r, g, b] = colours.get(cell)!;
    const distances = kept.map((_, i) =>
      (palette[3 * i] - r) ** 2 + (palette[3 * i + 1] - g) ** 2 + (palette[3 * i + 2] - b) ** 2
    );
    indexOf[cell] = distances.indexOf(Math.min(...distances));
  }
  const pictures = frames.map((frame) => ({
    width: side,
    height: side,
    pixels: Uint8Array.from({ length: side * side }, (_, i) => indexOf[cellAt(frame, i)]),
  }));
  return { pictures, palette };
}
