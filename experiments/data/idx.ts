/**
 * The IDX file format of MNIST and its relatives: a magic number, the lengths, then one byte for each value.
 * Source: http://yann.lecun.com/exdb/mnist/
 */

/** Raised when a data set cannot be found or read; the message is one line for the user. */
export class DataError extends Error {
  override name = "DataError";
}

/**
 * Parses images.
 *
 * @param bytes the whole file, unpacked
 * @param file its name, for messages
 * @returns images u8[N, H, W], a view of bytes, with N = count
 * @throws {DataError} if the bytes are no IDX images, too few, too many, or hold no pixel
 */
export function parseImages(
  bytes: Uint8Array,
  file: string,
): { images: Uint8Array; count: number; height: number; width: number } {
  const { data, lengths: [count, height, width] } = parse(bytes, file, "images", 3);
  return { images: data, count, height, width };
}

/**
 * Parses labels.
 *
 * @param bytes the whole file, unpacked
 * @param file its name, for messages
 * @returns labels u8[N], a view of bytes
 * @throws {DataError} if the bytes are no IDX labels, too few, too many, or none
 */
export function parseLabels(bytes: Uint8Array, file: string): Uint8Array {
  return parse(bytes, file, "labels", 1).data;
}

function parse(bytes: Uint8Array, file: string, what: string, rank: number) {
  const start = 4 + 4 * rank;
  if (bytes.length < start) {
    throw new DataError(
      `Cannot read ${file}: it has ${bytes.length} bytes (expected a header of ${start}); fetch it again`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  const expected = 0x0800 + rank; // 8: unsigned bytes
  if (magic !== expected) {
    throw new DataError(
      `Cannot read ${file}: it begins with ${hex(magic)} (expected ${
        hex(expected)
      }, IDX ${what} in bytes); ` +
        `put the ${what} file there`,
    );
  }
  const lengths = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = lengths.reduce((product, length) => product * length, 1);
  if (size === 0) {
    throw new DataError(`Cannot read ${file}: it holds no ${what}, [${lengths.join(", ")}] (expected some)`);
  }
  if (bytes.length !== start + size) {
    throw new DataError(
      `Cannot read ${file}: it has ${bytes.length} bytes, too ${
        bytes.length < start + size ? "few" : "many"
      } ` +
        `(expected ${start + size} for ${what} [${lengths.join(", ")}]); fetch it again`,
    );
  }
  return { data: bytes.subarray(start), lengths };
}

function hex(magic: number): string {
  return `0x${magic.toString(16).padStart(8, "0")}`;
}
