import type { Palette } from "../image/colormap.ts";
import type { Picture, Raster } from "../image/picture.ts";
import type { FlowFrames } from "./flow_frames.ts";
import { encodeGif, type GifOptions, quantize } from "../image/gif.ts";
import type { ImageFile } from "../image/notebook.ts";
import type { Rasterizer } from "../image/raster.ts";

/** Maximum colour error of moving pixels (distance in RGB): about a twentieth of a colour map's length. */
const tolerance = 20;
/** Number of frames to which the palette is fitted. */
const sampledFrames = 8;

/**
 * Draws an animation of flows as a small GIF: one palette for all frames, and pixels that change only if the change is
 * visible. The last frame is exact up to the palette.
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
  const sampled = Array.from(
    { length: sampledFrames },
    (_, i) => draw(frames.svg(Math.round(i * last / (sampledFrames - 1)))),
  );
  const palette = fittedPalette(sampled);
  const indexer = new Indexer(palette);
  const pictures = frames.times.map((_, i) => indexer.index(draw(frames.svg(i)), i === last ? 0 : tolerance));
  return encodeGif(pictures, palette, options);
}

/** Fits a palette to frames of one size: u8[256, 3], black from the last used entry on. */
function fittedPalette(rasters: readonly Raster[]): Palette {
  const [{ rgba: { length } }] = rasters;
  const rgba = new Uint8Array(rasters.length * length);
  rasters.forEach((raster, i) => rgba.set(raster.rgba, i * length));
  const greys = Array.from({ length: 12 }, (_, i) => Array(3).fill(Math.round(0x22 + (255 - 0x22) * i / 11))); // of captions
  const palette = new Uint8Array(256 * 3);
  palette.set([0, 0, 0, ...greys.flat(), ...quantize(rgba, 242, { format: "rgb565" }).flat()]);
  return palette;
}

/** Converts rasters to indexed pictures with one palette. */
export class Indexer {
  readonly #palette: Palette;
  readonly #nearest = new Map<number, number>();
  #previous: Picture | undefined;

  /** @param palette u8[256, 3]; black entries after the first are not used */
  constructor(palette: Palette) {
    this.#palette = palette;
  }

  /**
   * Finds the nearest colour for each pixel, or keeps the pixel of the previous picture if its colour is near enough.
   * Most pixels of slowly changing noise then stay still, which keeps the GIF small.
   *
   * @param tolerance distance in RGB up to which the previous pixel is kept; 0 keeps none
   */
  index({ width, height, rgba }: Raster, tolerance: number): Picture {
    const words = new Uint32Array(rgba.buffer, rgba.byteOffset, width * height);
    const pixels = new Uint8Array(words.length);
    const before = tolerance > 0 ? this.#previous?.pixels : undefined;
    // Neighbouring pixels are often equal: search once per run of equal pixels.
    let color = -1;
    let old = -1;
    let index = 0;
    for (let i = 0; i < words.length; i++) {
      const nextColor = words[i] & 0xffffff;
      const nextOld = before ? before[i] : -1;
      if (nextColor !== color || nextOld !== old) {
        color = nextColor;
        old = nextOld;
        const stays = old >= 0 && this.#distance(color, old) <= tolerance ** 2;
        index = stays ? old : this.#indexOf(color);
      }
      pixels[i] = index;
    }
    this.#previous = { width, height, pixels };
    return this.#previous;
  }

  #indexOf(color: number): number {
    const cached = this.#nearest.get(color);
    if (cached !== undefined) return cached;
    let best = 0;
    for (let i = 1; i < 256; i++) if (this.#distance(color, i) < this.#distance(color, best)) best = i;
    this.#nearest.set(color, best);
    return best;
  }

  /** Squared distance from a colour (R in the lowest byte) to a palette entry. */
  #distance(color: number, index: number): number {
    const palette = this.#palette;
    const r = (color & 255) - palette[3 * index];
    const g = (color >> 8 & 255) - palette[3 * index + 1];
    const b = (color >> 16) - palette[3 * index + 2];
    return r * r + g * g + b * b;
  }
}
