/**
 * The arrays of an .npz file, which is a ZIP archive of .npy files, packed or not.
 * Source: PKWARE, .ZIP File Format Specification 6.3.10, sections 4.3 to 4.5
 */

import { crc32 } from "node:zlib";
import { DataError } from "./dataset.ts";
import { type ByteRange, inMemory, placeAfter } from "./npy.ts";

/** Most bytes after the list of members: their number and a comment. */
const maxEnd = 22 + 2 ** 16;
/** Most bytes of the list of members. */
const maxList = 2 ** 24;
/** Most members; data sets have up to four arrays. */
const maxMembers = 1000;
/** Most bytes of a packed member, unpacked: the limit of one array in memory. */
const maxUnpacked = 2 ** 32;
/** Bytes that are checked at once. */
const pieceBytes = 2 ** 20;
/** Packed bytes that are unpacked at once, to a thousand times as many at most. */
const packedBytes = 2 ** 14;
/** Marks a number that does not fit 32 bits and is stored in a Zip64 field. */
const elsewhere = 0xffffffff;

/**
 * Lists the arrays of an archive, without unpacking any.
 *
 * @param path of the archive, for messages
 * @returns by name, without `.npy`, what unpacks an array, and throws a `DataError` if it is damaged
 * @throws {DataError} if it is not a ZIP archive, or damaged
 */
export function listNpz(archive: ByteRange, path: string): Map<string, () => Promise<ByteRange>> {
  try {
    return new Map(
      members(archive, path).map(([name, entry]) => [name.replace(/\.npy$/, ""), () => {
        return unpack(archive, entry, `${name} in ${path}`);
      }]),
    );
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `Cannot read ${path}: it is damaged or no archive of arrays (expected what numpy.savez() writes)`,
      { cause: error },
    );
  }
}

interface Entry {
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Where its content starts. */
  readonly at: number;
}

/** Names and entries of the archive's list. @throws {RangeError} if it is none */
function members(archive: ByteRange, path: string): [string, Entry][] {
  const [at, length] = listRange(archive);
  if (length > maxList) throw new RangeError("too many members");
  const list = viewOf(archive, at, length);
  const found: [string, Entry][] = [];
  for (let from = 0; from < length;) {
    if (list.getUint32(from, true) !== 0x02014b50) throw new RangeError("no member");
    if (found.length === maxMembers) {
      throw new DataError(
        `Cannot use ${path}: it has more than ${maxMembers} members (expected the arrays of a data set)`,
      );
    }
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => list.getUint16(from + field, true));
    const name = new TextDecoder().decode(bytesOf(list, from + 46, nameLength));
    const wide = zip64Of(list, from + 46 + nameLength, extra);
    const number = (field: number) => {
      const value = list.getUint32(from + field, true);
      return value === elsewhere && wide.length > 0 ? wide.shift()! : value;
    };
    const [method, crc] = [list.getUint16(from + 10, true), list.getUint32(from + 16, true)];
    const size = number(24); // the order of the Zip64 field
    const packed = number(20);
    const at = contentStart(archive, number(42), name);
    found.push([name, { method, crc, packed, size, at }]);
    from += 46 + nameLength + extra + comment;
  }
  return found;
}

/** Where the content of a member starts: after a header of its own, which has its name, too. */
function contentStart(archive: ByteRange, at: number, name: string): number {
  const header = viewOf(archive, at, 30);
  const [nameLength, extra] = [header.getUint16(26, true), header.getUint16(28, true)];
  const own = bytesOf(viewOf(archive, at + 30, nameLength), 0, nameLength);
  if (header.getUint32(0, true) !== 0x04034b50 || new TextDecoder().decode(own) !== name) {
    throw new RangeError("no member");
  }
  return at + 30 + nameLength + extra;
}

/** Where the list of members starts, and its length. */
function listRange(archive: ByteRange): [at: number, length: number] {
  const most = Math.min(maxEnd, archive.size);
  const tail = viewOf(archive, archive.size - most, most);
  let end = most - 22;
  while (tail.getUint32(end, true) !== 0x06054b50) end--; // beyond the start: a RangeError
  const [length, at] = [tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (length !== elsewhere && at !== elsewhere) return [at, length];
  const wide = viewOf(archive, Number(tail.getBigUint64(end - 20 + 8, true)), 56);
  return [Number(wide.getBigUint64(48, true)), Number(wide.getBigUint64(40, true))];
}

/** The numbers of a Zip64 field among the extra fields of a member. */
function zip64Of(list: DataView, from: number, length: number): number[] {
  for (let at = from; at + 4 <= from + length;) {
    const [id, size] = [list.getUint16(at, true), list.getUint16(at + 2, true)];
    at += 4;
    if (id === 1) {
      return Array.from({ length: size >> 3 }, (_, i) => Number(list.getBigUint64(at + 8 * i, true)));
    }
    at += size;
  }
  return [];
}

async function unpack(archive: ByteRange, entry: Entry, title: string): Promise<ByteRange> {
  try {
    const bytes = await contentOf(archive, entry);
    let crc = 0;
    for (let at = 0; at < bytes.size; at += pieceBytes) {
      crc = crc32(bytes.read(at, Math.min(pieceBytes, bytes.size - at)), crc);
    }
    if (crc !== entry.crc) throw new RangeError("wrong checksum");
    return bytes;
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Cannot unpack ${title}: it is damaged; save or download it again`, { cause: error });
  }
}

async function contentOf(archive: ByteRange, { method, packed, size, at }: Entry): Promise<ByteRange> {
  if (at + packed > archive.size) throw new RangeError("beyond the end");
  if (method === 0) {
    const place = placeAfter(archive.place, at);
    return { size: packed, place, read: (from, length) => archive.read(at + from, length) };
  }
  if (method !== 8 || size > maxUnpacked) throw new RangeError("unknown or too large");
  return inMemory(await inflate(archive, at, packed, size));
}

/** Unpacks piece by piece. */
async function inflate(archive: ByteRange, at: number, packed: number, size: number): Promise<Uint8Array> {
  function* pieces() {
    for (let from = at; from < at + packed; from += packedBytes) {
      yield archive.read(from, Math.min(packedBytes, at + packed - from)).slice();
    }
  }
  const bytes = new Uint8Array(size);
  let done = 0;
  for await (
    const piece of ReadableStream.from(pieces()).pipeThrough(new DecompressionStream("deflate-raw"))
  ) {
    bytes.set(piece, done); // beyond the size: a RangeError
    done += piece.length;
  }
  if (done < size) throw new RangeError("too short");
  return bytes;
}

function viewOf(archive: ByteRange, at: number, length: number): DataView<ArrayBuffer> {
  if (!(at >= 0 && length >= 0 && at + length <= archive.size)) throw new RangeError("beyond the end");
  return new DataView(archive.read(at, length).slice().buffer);
}

function bytesOf({ buffer, byteOffset }: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(buffer, byteOffset + at, length);
}
