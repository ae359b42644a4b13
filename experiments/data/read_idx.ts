import { DataError, idxLength, maxHeaderBytes } from "./idx.ts";

/** Largest file, in bytes: what one array holds. */
const mostBytes = 2 ** 32;

/**
 * Reads an IDX file from a stream, and stops a byte after the end that its header tells: what is packed may be a thousand
 * times as long. Memory grows with what is read, not with what the header promises.
 *
 * @param path the file, for messages
 * @returns all bytes; of a file that is too long those up to the first too many, of one with another header its beginning
 * @throws {DataError} if the header tells more bytes than can be read
 * @throws {unknown} what the stream fails with
 */
export async function readIdx(
  content: ReadableStream<Uint8Array<ArrayBuffer>>,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let expected: number | undefined;
  for await (const piece of content) {
    pieces.push(piece);
    size += piece.length;
    if (expected === undefined && size >= maxHeaderBytes) {
      expected = idxLength(joined(pieces, size));
      if (expected === undefined) break;
      if (expected > mostBytes) throw tooLong(path, expected);
    }
    if (expected !== undefined && size > expected) break;
  }
  return joined(pieces, size).subarray(0, expected === undefined ? size : expected + 1);
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

function tooLong(path: string, expected: number): DataError {
  return new DataError(
    `Cannot read ${path}: its header declares ${expected} bytes (expected at most ${mostBytes}); ` +
      "download it again, or take fewer images",
  );
}
