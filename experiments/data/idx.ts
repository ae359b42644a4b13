import { UserError } from "../../kernels/core/user_error.ts";
/**
 * The IDX file format of MNIST and its relatives: a magic number, the lengths, then one byte per value.
 * Source: http://yann.lecun.com/exdb/mnist/
 */

/** Raised when a data set cannot be found or read; the message is one line for the user. */
export class DataError extends UserError {
  override name = "DataError";
}

/** Most lengths in a header: images, rows, columns, channels. */
const maxRank = 4;

/** Bytes of the longest header. */
export const maxHeaderBytes: number = 4 + 4 * maxRank;

/** Images of one size, u8[N, C, H, W] in row-major order: N = count, C = channels. */
export interface Images {
  readonly images: Uint8Array;
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Parses images: [N, H, W] in grey, or [N, H, W, C] with one or three channels, stored pixel by pixel.
 *
 * @param bytes the whole file, unpacked
 * @param file its name, for messages
 * @returns images u8[N, C, H, W]; with one channel a view of bytes
 * @throws {DataError} if the bytes are no IDX images, too few or too many, hold no pixel or other channels
 */
export function parseImages(bytes: Uint8Array, file: string): Images {
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
 * @throws {DataError} if the bytes are no IDX labels, too few or too many, or none
 */
export function parseLabels(bytes: Uint8Array, file: string): Uint8Array {
  return parse(bytes, file, "labels", [1]).data;
}

/**
 * The bytes that a file says it has, by its header.
 *
 * @param bytes the first bytes of the file, at least `maxHeaderBytes` of a longer one
 * @returns undefined if they are not the header of an IDX file of bytes
 */
export function idxLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rank = view.getUint32(0) - magicOf(0);
  const start = 4 + 4 * rank;
  if (rank < 1 || rank > maxRank || bytes.length < start) return undefined;
  return start + Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i)).reduce((a, b) => a * b);
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

/** @param ranks how many lengths the header may hold */
function parse(bytes: Uint8Array, file: string, what: string, ranks: readonly number[]) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkHeader(bytes, file, ranks[0]);
  const magic = view.getUint32(0);
  const rank = ranks.find((rank) => magic === magicOf(rank));
  if (rank === undefined) {
    throw new DataError(
      `Cannot read ${file}: it begins with ${hex(magic)} ` +
        `(expected ${ranks.map((rank) => hex(magicOf(rank))).join(" or ")}, IDX ${what} in bytes); ` +
        `put the ${what} file there`,
    );
  }
  const start = checkHeader(bytes, file, rank);
  const lengths = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = lengths.reduce((product, length) => product * length, 1);
  if (size === 0) {
    throw new DataError(`Cannot read ${file}: it holds no ${what}, [${lengths.join(", ")}] (expected some)`);
  }
  if (bytes.length !== start + size) {
    const problem = bytes.length < start + size ? `${bytes.length} bytes, too few` : "too many bytes";
    throw new DataError(
      `Cannot read ${file}: it has ${problem} (expected ${start + size} for ${what} [${
        lengths.join(", ")
      }]); download it again`,
    );
  }
  return { data: bytes.subarray(start), lengths };
}

/** Number of bytes of the header, once it is sure that the file has them. */
function checkHeader({ length }: Uint8Array, file: string, rank: number): number {
  const start = 4 + 4 * rank;
  if (length >= start) return start;
  throw new DataError(
    `Cannot read ${file}: it has ${length} bytes (expected a header of ${start}); download it again`,
  );
}

/** 8 stands for unsigned bytes. */
function magicOf(rank: number): number {
  return 0x0800 + rank;
}

function hex(magic: number): string {
  return `0x${magic.toString(16).padStart(8, "0")}`;
}
