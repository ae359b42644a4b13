import { colormap } from "./colormap.ts";
import { encodeGif, type GifOptions } from "./gif.ts";
import { checkImages, grid, type GridOptions, type ImagesShape } from "./grid.ts";
import { pace, type Pacing } from "./pacing.ts";
import type { Picture } from "./picture.ts";

/** Options of {@linkcode flowGif}. */
export interface FlowGifOptions extends GridOptions, GifOptions {
  /** Which snapshots become frames; default `linear`. */
  readonly pacing?: Pacing;
  /** Number of frames; default 50. */
  readonly frames?: number;
}

/** Rows of the progress bar, and its palette indices up to t and beyond it. */
const BAR = { rows: 3, done: 255, left: 64 };

/**
 * Animates a flow from noise to data: a grid of images under the `magma` map, over a bar as long as t.
 *
 * @example
 * ```ts
 * import { flowGif } from "./mod.ts";
 * import assert from "node:assert/strict";
 *
 * const times = [0, 0.25, 0.5, 0.75, 1];
 * const snapshots = times.map((t) => new Float32Array(4 * 28 * 28).fill(t));
 * const bytes = flowGif(snapshots, times, [4, 28, 28], { scale: 2, pacing: "logarithmic", frames: 10, hold: 1000 });
 * assert.equal(new TextDecoder().decode(bytes.subarray(0, 6)), "GIF89a");
 * ```
 *
 * @param snapshots images at each time, f32[N, H, W] each
 * @param times t of each snapshot, in [0, 1]
 * @param shape [N, H, W]
 * @returns bytes of a `.gif` file, each frame the grid and 3 rows of bar below it
 * @throws {RangeError} if there is no snapshot, a snapshot has no time or holds NaN, or an option is out of range
 * @throws {TypeError} if there is no such pacing
 */
export function flowGif(
  snapshots: readonly Float32Array[],
  times: readonly number[],
  shape: ImagesShape,
  options: FlowGifOptions = {},
): Uint8Array {
  if (snapshots.length !== times.length) {
    throw new RangeError(
      `Cannot draw flow: ${snapshots.length} snapshots but ${times.length} times (expected a time for each)`,
    );
  }
  const { pacing = "linear", frames = 50 } = options;
  const pictures = pace(pacing, snapshots.length, frames).map((m) => {
    const t = times[m];
    if (!(t >= 0 && t <= 1)) {
      throw new RangeError(`Cannot draw flow: time ${m} is ${t} (expected t in [0, 1])`);
    }
    checkImages(`draw snapshot ${m} at t = ${t}`, snapshots[m], shape);
    return withBar(grid(snapshots[m], shape, options), t);
  });
  return encodeGif(pictures, colormap("magma"), options);
}

function withBar({ width, height, pixels }: Picture, t: number): Picture {
  const framed = new Uint8Array(width * (height + BAR.rows));
  framed.set(pixels);
  for (let y = height; y < height + BAR.rows; y++) {
    const split = y * width + Math.round(t * width);
    framed.fill(BAR.done, y * width, split).fill(BAR.left, split, (y + 1) * width);
  }
  return { width, height: height + BAR.rows, pixels: framed };
}
