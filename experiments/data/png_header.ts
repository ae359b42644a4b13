import { DataError } from "./idx.ts";

/** Most pixels of an image, 2048 x 2048 say. */
export const mostPixels: number = 2 ** 22;

/** Most bytes of an image's file. */
export const mostFileBytes: number = 2 ** 25;

/** The eight bytes that begin every PNG file. */
const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Bytes before those of the first chunk: the signature, its length and its name. */
const headerStart = 16;
const headerEnd = headerStart + 13;

/** What the header of a PNG file tells. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits of a value. */
  readonly depth: number;
  /** Whether the image is stored in seven passes. */
  readonly interlaced: boolean;
}

/**
 * Reads the header of a PNG file, so that nothing is unpacked of an image that is too large.
 *
 * @param bytes the file, or its beginning
 * @param path its name, for messages
 * @throws {DataError} if it is no PNG file, or its image has too many pixels or none
 * Source: PNG specification, third edition, sections 5.2 and 11.2.1
 */
export function pngHeader(bytes: Uint8Array, path: string): PngHeader {
  if (bytes.length < headerEnd || signature.some((byte, i) => bytes[i] !== byte)) {
    throw new DataError(
      `Cannot read ${path}: it is damaged or not a PNG file (expected PNG, as its name says); save it again as PNG`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(headerStart), view.getUint32(headerStart + 4)];
  if (width * height < 1 || width * height > mostPixels) {
    throw new DataError(
      `Cannot read ${path}: its header declares ${height}x${width} pixels (expected 1 to ${mostPixels} of them); ` +
        "save it smaller",
    );
  }
  return {
    width,
    height,
    depth: view.getUint8(headerStart + 8),
    interlaced: view.getUint8(headerEnd - 1) === 1,
  };
}
