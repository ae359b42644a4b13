import { Buffer } from "node:buffer";
import untyped from "npm:pngjs@7.0.0";
import { DataError } from "./idx.ts";
import { checkPasses } from "./png_passes.ts";
import { type PngHeader, pngHeader } from "./png_header.ts";

/** A decoded image: grey, or red, green and blue. */
export interface Pixels {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** u8[H, W, 4]: red, green, blue, and 255; a grey pixel has its value three times. */
  readonly rgba: Uint8Array;
}

/** An image as pngjs decodes it: values of 16 bits only where the file has them and they are not rescaled. */
interface Decoded {
  readonly data: Uint8Array | Uint16Array;
  readonly width: number;
  readonly height: number;
  readonly colorType: number;
}

/** What we use of pngjs, whose published types would bring all of Node's into the lock file. */
const { PNG } = untyped as {
  PNG: { sync: { read(bytes: Buffer, options: { skipRescale: boolean }): Decoded } };
};

/** Bits of the colour type in a PNG header. */
const [paletted, coloured] = [1, 2];

/**
 * Decodes a PNG file where eight bits a channel can hold it without loss: opaque, grey or in colour, with a palette or
 * not, interlaced or not. A palette that holds only greys counts as grey. Gamma and colour profiles are not applied.
 *
 * @param bytes the whole file; no more is unpacked than its header tells
 * @param path its name, for messages
 * @throws {DataError} if the file is damaged or no PNG, or the image too large, not opaque, or finer than eight bits
 */
export function decodePng(bytes: Uint8Array, path: string): Pixels {
  const header = pngHeader(bytes, path);
  const { data, width, height, colorType } = readPng(bytes, header, path);
  const rgba = inEightBits(data, path);
  for (let i = 3; i < rgba.length; i += 4) {
    if (rgba[i] === 255) continue;
    throw new DataError(
      `Cannot use ${path}: it has transparent pixels (expected opaque ones); save it on a background`,
    );
  }
  const grey = (colorType & coloured) === 0 || (colorType & paletted) !== 0 && isGrey(rgba);
  return { channels: grey ? 1 : 3, height, width, rgba };
}

function readPng(bytes: Uint8Array, header: PngHeader, path: string): Decoded {
  try {
    if (header.interlaced) checkPasses(bytes, header);
    const skipRescale = header.depth === 16; // else it would be rounded
    return PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), { skipRescale });
  } catch (error) {
    throw new DataError(
      `Cannot read ${path}: the file is damaged (expected a whole PNG image); replace or remove it`,
      { cause: error },
    );
  }
}

/** Values of eight bits; of 16 only those that some program made of eight, 257 v. */
function inEightBits(data: Uint8Array | Uint16Array, path: string): Uint8Array {
  if (!(data instanceof Uint16Array)) return data;
  if (data.every((value) => value % 257 === 0)) return Uint8Array.from(data, (value) => value / 257);
  throw new DataError(`Cannot use ${path}: it has 16 bits a channel (expected 8); save it with 8`);
}

function isGrey(rgba: Uint8Array): boolean {
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) return false;
  }
  return true;
}
