/**
 * NumPy's format of one array: a magic number, a header that reads like a Python dictionary, then the values.
 * Source: NumPy Enhancement Proposal 1, and numpy/lib/format.py
 */

import { DataError } from "./dataset.ts";
import type { FilePlace } from "./images.ts";

/** Bytes that are read in pieces: a file, a part of one, or memory. */
export interface ByteRange {
  readonly size: number;
  /** Its place in a file, if it is in one. */
  readonly place?: FilePlace | undefined;
  /** Bytes from `at`, which the next call may overwrite. @throws {DataError} if they cannot be read */
  read(at: number, length: number): Uint8Array;
}

/** The place a number of bytes after another. */
export function placeAfter(place: FilePlace | undefined, bytes: number): FilePlace | undefined {
  return place && { ...place, at: place.at + bytes };
}

/** Bytes in memory. */
export function inMemory(bytes: Uint8Array): ByteRange {
  return { size: bytes.length, read: (at, length) => bytes.subarray(at, at + length) };
}

/** An array of numbers in row-major order, in a file of NumPy or another format. */
export interface NumberArray {
  /** Its file and name, for messages. */
  readonly title: string;
  readonly shape: readonly number[];
  /** Type of the values, such as `<f8` for little-endian f64. */
  readonly descr: string;
  /** Bytes of a value. */
  readonly width: number;
  /** The values, one after another. */
  readonly bytes: ByteRange;
  /** The value that starts at a byte of a view. */
  readonly valueAt: (view: DataView, at: number) => number;
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Maximum bytes of a header; those of number arrays have about a hundred. */
const maxHeader = 2 ** 16;

type ReadValue = (view: DataView, at: number, little: boolean) => number;

/** How values are read, by kind and number of bytes. */
const readers: Readonly<Record<string, ReadValue>> = {
  b1: (view, at) => view.getUint8(at),
  u1: (view, at) => view.getUint8(at),
  u2: (view, at, little) => view.getUint16(at, little),
  u4: (view, at, little) => view.getUint32(at, little),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  i1: (view, at) => view.getInt8(at),
  i2: (view, at, little) => view.getInt16(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  f2: (view, at, little) => view.getFloat16(at, little),
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
};

/**
 * Reads the header of an array.
 *
 * @param title its file and name, for messages
 * @throws {DataError} if the bytes are not in NumPy's format, do not hold numbers, are more or fewer than the header
 *   says, or are in Fortran order
 */
export function openNpy(bytes: ByteRange, title: string): NumberArray {
  const start = bytes.read(0, Math.min(12, bytes.size)).slice();
  if (start.length < 12 || magic.some((byte, i) => start[i] !== byte)) {
    throw new DataError(
      `Cannot read ${title}: it is damaged or not a NumPy array (expected what numpy.save() writes)`,
    );
  }
  const view = new DataView(start.buffer);
  const [length, begin] = start[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const text = length > maxHeader || begin + length > bytes.size
    ? ""
    : new TextDecoder().decode(bytes.read(begin, length));
  const shape = /'shape': *\(([\d, ]*)\)/.exec(text)?.[1].split(",").filter((word) => word.trim()).map(
    Number,
  );
  const order = /'fortran_order': *(True|False)/.exec(text)?.[1];
  if (!shape || !order || !shape.every(Number.isSafeInteger)) {
    throw new DataError(`Cannot read ${title}: its header is damaged (expected what numpy.save() writes)`);
  }
  const descr = /'descr': *'([^']*)'/.exec(text)?.[1] ?? "records";
  const read = readers[descr.slice(1)];
  if (!read) {
    throw new DataError(
      `Cannot use ${title}: it holds ${descr} (expected numbers, such as |u1, <f4 or <f8); convert it with .astype("float32")`,
    );
  }
  if (order === "True") {
    throw new DataError(
      `Cannot use ${title}: it is in Fortran order (expected C order); save numpy.ascontiguousarray() of it`,
    );
  }
  const [width, little] = [Number(descr.slice(2)), descr[0] !== ">"];
  const [from, size] = [begin + length, shape.reduce((product, n) => product * n, width)];
  if (bytes.size !== from + size) {
    throw new DataError(
      `Cannot read ${title}: it has ${bytes.size} bytes (expected ${from + size} for ${descr} ${
        formatShape(shape)
      }); ` +
        "save or download it again",
    );
  }
  return {
    ...{ title, shape, descr, width },
    bytes: {
      size,
      place: placeAfter(bytes.place, from),
      read: (at, length) => bytes.read(from + at, length),
    },
    valueAt: (view, at) => read(view, at, little),
  };
}

/** An array of bytes. */
export function bytesArray(title: string, shape: readonly number[], bytes: ByteRange): NumberArray {
  return { title, shape, descr: "|u1", width: 1, bytes, valueAt: (view, at) => view.getUint8(at) };
}

/** A shape as text: `[1797, 8, 8]`. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
