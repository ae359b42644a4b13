/** The arrays of an .npz file, which is a ZIP archive of .npy files, packed or not. */

import { crc32 } from "node:zlib";
import { type Entry, Reader, ZipReader } from "npm:@zip.js/zip.js@2.24.0";
import { DataError } from "./dataset.ts";
import { type ByteRange, inMemory, placeAfter } from "./npy.ts";

/** Maximum number of members; data sets have up to four arrays. */
const maxMembers = 1000;
/** Maximum bytes of a compressed member, unpacked: the limit of one array in memory. */
const maxUnpacked = 2 ** 32;
/** Bytes that are checked at a time. */
const pieceBytes = 2 ** 20;
/** Bytes of the header before a member, without its name and extra fields. */
const headerBytes = 30;

/** Reads an archive in pieces. */
class RangeReader extends Reader<ByteRange> {
  readonly #range: ByteRange;

  constructor(range: ByteRange) {
    super(range);
    this.#range = range;
    this.size = range.size;
  }

  override readUint8Array(at: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.#range.read(at, Math.min(length, this.size - at)).slice());
  }
}

/**
 * Lists the arrays of an archive, without unpacking any.
 *
 * @param path of the archive, for messages
 * @returns functions that unpack an array, by name without `.npy`; each throws a `DataError` if it is damaged
 * @throws {DataError} if it is not a ZIP archive, or damaged
 */
export async function listNpz(
  archive: ByteRange,
  path: string,
): Promise<Map<string, () => Promise<ByteRange>>> {
  const members = new Map<string, () => Promise<ByteRange>>();
  try {
    const reader = new ZipReader(new RangeReader(archive), { useWebWorkers: false, checkCrc32: true });
    for await (const entry of reader.getEntriesGenerator()) {
      if (members.size === maxMembers) {
        throw new DataError(
          `Cannot use ${path}: it has more than ${maxMembers} members (expected the arrays of a data set)`,
        );
      }
      const start = contentStart(archive, entry);
      const title = `${entry.filename} in ${path}`;
      members.set(entry.filename.replace(/\.npy$/, ""), () => unpack(archive, entry, start, title));
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `Cannot read ${path}: it is damaged or not an archive of arrays (expected what numpy.savez() writes)`,
      { cause: error },
    );
  }
  return members;
}

/** Position of a member's content: after a header of its own, which repeats its name. */
function contentStart(archive: ByteRange, { offset, rawFilename }: Entry): number {
  const header = archive.read(offset, headerBytes).slice();
  const [name, extra] = [26, 28].map((at) => header[at] + 256 * header[at + 1]);
  const start = offset + headerBytes;
  if (archive.read(start, name).toHex() !== rawFilename.toHex()) throw new RangeError("another name");
  return start + name + extra;
}

async function unpack(archive: ByteRange, entry: Entry, start: number, title: string): Promise<ByteRange> {
  const { directory, uncompressedSize: size } = entry;
  try {
    if (directory) throw new RangeError("a folder");
    if (entry.compressionMethod === 0) return stored(archive, start, entry);
    if (size > maxUnpacked) throw new RangeError("too large");
    const bytes = new Uint8Array(size);
    let done = 0;
    await entry.getData(
      new WritableStream({
        write(piece: Uint8Array) {
          bytes.set(piece, done); // beyond the size: a RangeError
          done += piece.length;
        },
      }),
    );
    if (done < size) throw new RangeError("too short");
    return inMemory(bytes);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Cannot unpack ${title}: it is damaged; save or download it again`, { cause: error });
  }
}

/** The content of an uncompressed member, which stays in its file. */
function stored(archive: ByteRange, start: number, { uncompressedSize: size, signature }: Entry): ByteRange {
  if (start + size > archive.size) throw new RangeError("beyond the end");
  let crc = 0;
  for (let at = 0; at < size; at += pieceBytes) {
    crc = crc32(archive.read(start + at, Math.min(pieceBytes, size - at)), crc);
  }
  if (crc !== signature) throw new RangeError("wrong checksum");
  return {
    size,
    place: placeAfter(archive.place, start),
    read: (from, length) => archive.read(start + from, length),
  };
}
