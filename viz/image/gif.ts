import untyped from "npm:gifenc@1.0.3";
import { checkPalette, type Palette } from "./colormap.ts";
import { type ImageFile, imageFile } from "./notebook.ts";
import { checkPicture, type Picture } from "./picture.ts";

/** The functions of gifenc that we use; the package has no types. */
export const { GIFEncoder, quantize } = untyped as {
  GIFEncoder(): {
    writeFrame(index: Uint8Array, width: number, height: number, options: object): void;
    finish(): void;
    bytes(): Uint8Array;
  };
  quantize(rgba: Uint8Array, most: number, options: object): [r: number, g: number, b: number][];
};

/** Maximum delay in milliseconds: a file stores hundredths of a second in 16 bits. */
const maxMs = 655_350;

/** Durations of frames. */
export interface Timing {
  /** Milliseconds per frame, at least 20 (viewers slow down shorter frames); default 50. GIF files round it to 10 ms. */
  readonly delay?: number;
  /** Milliseconds for the last frame, at least 20; default `delay`. */
  readonly hold?: number;
}

/** Options of {@linkcode encodeGif}. */
export interface GifOptions extends Timing {
  /** How many times the animation plays; default `Infinity`. */
  readonly plays?: number;
}

/**
 * Encodes frames as an animated GIF with one global palette, so colours are exact.
 *
 * If a palette entry is unused, it marks unchanged pixels, which makes the file smaller.
 *
 * @example
 * ```ts
 * import { colormap, encodeGif, imageGrid } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const frames = [0, 0.5, 1].map((value) => imageGrid(Float32Array.of(value), [1, 1, 1], { scale: 8 }));
 * const bytes = encodeGif(frames, colormap("magma"), { delay: 40, hold: 1000 });
 * assert.equal(new TextDecoder().decode(bytes.subarray(0, 6)), "GIF89a");
 * ```
 *
 * @param frames at least one, all of one size, at most 65,535 pixels per side
 * @param palette colours of the indices, u8[256, 3]
 * @returns bytes of a `.gif` file, which a notebook plays
 * @throws {RangeError} if there is no frame, sizes differ, or the palette, a picture or an option is out of range
 */
export function encodeGif(
  frames: readonly Picture[],
  palette: Palette,
  { delay = 50, hold = delay, plays = Infinity }: GifOptions = {},
): ImageFile {
  checkSizes("encode GIF", frames);
  frames.forEach((frame, i) => checkPicture(`encode GIF frame ${i}`, frame));
  checkPalette("encode GIF", palette);
  checkDurations("encode GIF", { delay, hold }, maxMs);
  if (plays !== Infinity && !(Number.isInteger(plays) && plays >= 1 && plays <= 65_536)) {
    throw new RangeError(`Cannot encode GIF: plays is ${plays} (expected 1 to 65536, or Infinity)`);
  }

  const encoder = GIFEncoder();
  const used = 1 + frames.reduce((most, { pixels }) => pixels.reduce((a, b) => Math.max(a, b), most), 0);
  const unchanged = frames.length > 1 && used < 256 ? used : undefined;
  const colorDepth = Math.max(Math.ceil(Math.log2(unchanged === undefined ? used : used + 1)), 2);
  const colors = Array.from({ length: 2 ** colorDepth }, (_, i) => [...palette.subarray(3 * i, 3 * i + 3)]);
  frames.forEach(({ width, height, pixels }, i) => {
    const steady = i > 0 && unchanged !== undefined;
    const before = frames[Math.max(i - 1, 0)].pixels;
    const stored = steady ? pixels.map((index, at) => index === before[at] ? unchanged : index) : pixels;
    encoder.writeFrame(stored, width, height, {
      delay: i === frames.length - 1 ? hold : delay,
      transparent: steady,
      transparentIndex: unchanged ?? 0,
      colorDepth,
      dispose: 1, // leaves a frame in place when the next is drawn
      ...i === 0 && { palette: colors, repeat: repeatOf(plays) }, // any later frame would store them again
    });
  });
  encoder.finish();
  return imageFile(encoder.bytes(), "image/gif");
}

/** The field of a GIF that says how often it repeats: -1 never, 0 endlessly. */
function repeatOf(plays: number): number {
  if (plays === Infinity) return 0;
  return plays === 1 ? -1 : plays - 1;
}

/** Throws a {@linkcode RangeError} unless there are frames, all of one size that a file can hold. */
export function checkSizes(
  task: string,
  frames: readonly { readonly width: number; readonly height: number }[],
): void {
  if (frames.length === 0) throw new RangeError(`Cannot ${task}: there are no frames (expected at least 1)`);
  const [{ width, height }] = frames;
  if (Math.max(width, height) > 65_535) {
    throw new RangeError(
      `Cannot ${task}: frames are ${width} wide and ${height} high (expected at most 65535 each)`,
    );
  }
  frames.forEach((frame, i) => {
    if (frame.width === width && frame.height === height) return;
    throw new RangeError(
      `Cannot ${task}: frame ${i} is ${frame.width} wide and ${frame.height} high ` +
        `(expected ${width} and ${height} as in frame 0)`,
    );
  });
}

/** Throws a {@linkcode RangeError} unless durations are between 20 ms, which viewers respect, and `max`. */
export function checkDurations(task: string, durations: Required<Timing>, max: number): void {
  for (const [name, milliseconds] of Object.entries(durations)) {
    if (milliseconds >= 20 && milliseconds <= max) continue;
    throw new RangeError(`Cannot ${task}: ${name} is ${milliseconds} ms (expected 20 to ${max} ms)`);
  }
}
