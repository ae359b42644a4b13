import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import type { PngHeader } from "./png_header.ts";

/** Bytes before the first chunk, and those of a chunk besides its data: length, name and checksum. */
const [signatureBytes, frameBytes] = [8, 12];

/**
 * Checks that an interlaced image unpacks to no more than its header tells: its decoder has no limit.
 *
 * @param bytes the file
 * @throws {RangeError} if it is longer
 * @throws {Error} if it cannot be unpacked
 * Source: PNG specification, third edition, sections 5.3 and 8.1
 */
export function checkPasses(bytes: Uint8Array, { width, height, depth }: PngHeader): void {
  const mostChannels = 4;
  const filters = 7 * (height + 1); // a byte a line in each pass
  const pixels = Math.ceil(width * height * mostChannels * depth / 8) + filters; // lines end with whole bytes
  inflateSync(Buffer.concat(imageData(bytes)), { maxOutputLength: pixels + filters });
}

/** The pieces of the packed image. */
function imageData(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pieces: Uint8Array[] = [];
  for (let at = signatureBytes; at + frameBytes <= bytes.length;) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === "IDAT") pieces.push(bytes.subarray(at + 8, at + 8 + length));
    at += frameBytes + length;
  }
  return pieces;
}
