/**
 * The IDX file format of MNIST and its relatives: a magic number, the lengths, then one byte per value.
 * Source: http://yann.lecun.com/exdb/mnist/
 */

import { DataError, u32 } from "./dataset.ts";

/** Most lengths in a header: images, rows, columns, channels. */
const maxRank = 4;
const maxHeaderBytes = 4 + 4 * maxRank;
/** The magic number before the rank is added; 8 means unsigned bytes. */
const magic = 0x0800;

/** Most bytes of a file, the limit of one array. */
const maxBytes = 2 ** 32;

/** Images of one size, u8[N, C, H, W] in row-major order: N = count, C = channels. */
export interface IdxImages {
  readonly images: Uint8Array;
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Reads an IDX file from a stream and stops soon after the length in its header, since a packed file may unpack to a
 * thousand times its size. Memory grows with what is read, not with what the header promises.
 *
 * @param path of the file, for messages
 * @returns all bytes; at least one more than declared if the file is too long, only the start if it has no IDX header
 * @throws {DataError} if the header declares more bytes than an array holds
 * @throws {unknown} the error of the stream
 */
export async function readIdx(
  content: ReadableStream<Uint8Array<ArrayBuffer>>,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let end = Infinity;
  for await (const piece of content) {
    pieces.push(piece);
    size += piece.length;
    if (end === Infinity && size >= maxHeaderBytes) {
      const start = joined(pieces, size);
      const rank = u32(start, 0) - magic;
      end = rank >= 1 && rank <= maxRank ? readHeader(start).end : 0;
      if (end > maxBytes) {
        throw new DataError(
          `Cannot read ${path}: its header declares ${end} bytes (expected at most ${maxBytes}); take fewer images`,
        );
      }
    }
    if (size > end) break;
  }
  return joined(pieces, size).subarray(0, Math.max(end + 1, maxHeaderBytes));
}

/**
 * Parses images: [N, H, W] in grey, or [N, H, W, C] with one or three channels, stored pixel by pixel.
 *
 * @param bytes the whole file, unpacked
 * @param file its name, for messages
 * @returns images u8[N, C, H, W]; with one channel a view of bytes
 * @throws {DataError} if the bytes are not IDX images, are too few or too many, or have no pixels or the wrong number
 * of channels
 */
export function parseImages(bytes: Uint8Array, file: string): IdxImages {
  const { data, lengths: [count, height, width, channels = 1] } = parse(bytes, file, "images", [3, 4]);
  if (channels !== 1 && channels !== 3) {
    throw new DataError(
      `Cannot use ${file}: its images have ${channels} channels (expected 1 or 3, as [N, H, W, C])`,
    );
  }
  return { images: channelsFirst(data, channels, height * width), count, channels, height, width };
}

/**
 * Parses labels.
 *
 * @param bytes the whole file, unpacked
 * @param file its name, for messages
 * @returns labels u8[N], a view of bytes
 * @throws {DataError} if the bytes are not IDX labels, or are too few, too many or none
 */
export function parseLabels(bytes: Uint8Array, file: string): Uint8Array {
  return parse(bytes, file, "labels", [1]).data;
}

function parse(bytes: Uint8Array, file: string, what: string, ranks: readonly number[]) {
  const rank = bytes.length < 4 ? 0 : u32(bytes, 0) - magic;
  if (!ranks.includes(rank) || bytes.length < 4 + 4 * rank) {
    const expected = ranks.map((rank) => `0000080${rank}`).join(" or ");
    throw new DataError(
      `Cannot read ${file}: it has ${bytes.length} bytes, first ${bytes.subarray(0, 4).toHex() || "none"} ` +
        `(expected first ${expected} and ${4 * ranks[0]} more, as IDX ${what})`,
    );
  }
  const { lengths, start, end } = readHeader(bytes);
  const shape = `[${lengths.join(", ")}]`;
  if (start === end) {
    throw new DataError(`Cannot read ${file}: it holds no ${what}, ${shape} (expected some)`);
  }
  if (bytes.length !== end) {
    const problem = bytes.length < end ? `${bytes.length} bytes, too few` : "too many bytes";
    throw new DataError(
      `Cannot read ${file}: it has ${problem} (expected ${end} for ${what} ${shape}); download it again`,
    );
  }
  return { data: bytes.subarray(start), lengths };
}

/** Lengths, and the range of bytes that holds the values; the bytes must begin with a header. */
function readHeader(bytes: Uint8Array) {
  const lengths = Array.from({ length: u32(bytes, 0) - magic }, (_, i) => u32(bytes, 4 + 4 * i));
  const start = 4 + 4 * lengths.length;
  return { lengths, start, end: start + lengths.reduce((product, length) => product * length, 1) };
}

/** From [N, pixels, C] to [N, C, pixels]. */
function channelsFirst(data: Uint8Array, channels: number, pixels: number): Uint8Array {
  if (channels === 1) return data;
  const planes = new Uint8Array(data.length);
  for (let image = 0; image < data.length; image += channels * pixels) {
    for (let channel = 0; channel < channels; channel++) {
      const plane = image + channel * pixels;
      for (let i = 0; i < pixels; i++) planes[plane + i] = data[image + i * channels + channel];
    }
  }
  return planes;
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
