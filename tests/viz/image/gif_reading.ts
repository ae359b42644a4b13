// @ts-types="npm:@types/omggif@1.0.5"
import { GifReader } from "npm:omggif@1.0.10";
import type { Buffer } from "node:buffer";
import type { Picture } from "../../../viz/mod.ts";

/** A GIF, decoded by an independent decoder. */
export interface Gif {
  width: number;
  height: number;
  /** Number of repeats: 0 is endless, null is not stored. */
  loopCount: number | null;
  /** Milliseconds of each frame. */
  delays: number[];
  /** Frames, u8[height, width, 4] each. */
  frames: Uint8Array[];
  /** Offset of each frame's colours in the file: the same for all if they are global. */
  paletteOffsets: number[];
}

export function readGif(bytes: Uint8Array): Gif {
  const reader = new GifReader(bytes as Buffer);
  const { width, height } = reader;
  const infos = Array.from({ length: reader.numFrames() }, (_, i) => reader.frameInfo(i));
  return {
    width,
    height,
    loopCount: reader.loopCount(),
    delays: infos.map(({ delay }) => 10 * delay),
    frames: composed(reader, infos.length),
    paletteOffsets: infos.map((info) => info.palette_offset ?? -1),
  };
}

/** The frames as a viewer shows them, each drawn over the one before. */
function composed(reader: GifReader, count: number): Uint8Array[] {
  const screen = new Uint8Array(4 * reader.width * reader.height);
  return Array.from({ length: count }, (_, i) => {
    reader.decodeAndBlitFrameRGBA(i, screen);
    return screen.slice();
  });
}

/** Opaque colours of palette indices, u8[n, 4]. */
export function rgba(pixels: Uint8Array, palette: Uint8Array): number[] {
  return [...pixels].flatMap((index) => [...palette.subarray(3 * index, 3 * index + 3), 255]);
}

/** A picture with pseudorandom palette indices. */
export function scatter(width: number, height: number, seed = 0): Picture {
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => ((i + seed) * 2_654_435_761) >>> 13);
  return { width, height, pixels };
}
