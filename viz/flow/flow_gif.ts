import type { FlowFrames } from "./flow_frames.ts";
import { fittedPalette, framePalette, Indexer } from "./frame_palette.ts";
import { encodeGif, type GifOptions } from "../image/gif.ts";
import type { ImageFile } from "../image/notebook.ts";
import type { Rasterizer } from "../image/raster.ts";

/** How far pixels in motion may be off, as a distance of R, G and B: about a twentieth of a colour map's length. */
const tolerance = 20;
/** Frames that the palette of images in their own colours is fitted to. */
const looks = 8;

/**
 * Draws an animation of flows as a GIF, small for what it shows: one palette fitted to the colour map or, without one,
 * to the frames, and noise that moves only where it changes visibly. The last frame, which is held, is exact up to the
 * palette.
 *
 * @param draw from `rasterizer()`
 * @returns bytes of a `.gif` file, which a notebook plays
 * @throws {RangeError} if a snapshot holds NaN or a duration is out of range
 */
export function flowGif(
  frames: FlowFrames,
  draw: Rasterizer,
  options: GifOptions = {},
): ImageFile {
  const last = frames.times.length - 1;
  const some = () =>
    Array.from({ length: looks }, (_, i) => draw(frames.svg(Math.round(i * last / (looks - 1)))));
  const palette = frames.map ? framePalette(frames.map) : fittedPalette(some());
  const indexer = new Indexer(palette);
  const pictures = frames.times.map((_, i) => indexer.index(draw(frames.svg(i)), i === last ? 0 : tolerance));
  return encodeGif(pictures, palette, options);
}
