import { joined } from "../image/base64.ts";

/** An array in the page's data: `length` numbers from byte `at` in the arrays, or `length` bytes of the files. */
interface Packed {
  /** Type of the little-endian numbers; the bytes of files are not converted. */
  readonly kind: Kind | "file";
  /** value = number / scale. */
  readonly scale: number;
  readonly at: number;
  readonly length: number;
}

/** Types of packed numbers; `u8` holds pixels in [0, 1] as levels of 255. */
const kinds = { i8: Int8Array, i16: Int16Array, u8: Uint8Array, f32: Float32Array };
type Kind = keyof typeof kinds;

/** Type of an array by its path in the data: times are exact; arrays that are only drawn are rounded. */
const kindsOf: readonly (readonly [path: RegExp, kind: Kind])[] = [
  [/\.t$/, "f32"],
  [/\.plane\.image$/, "u8"],
  [/\.comparison\./, "i8"],
  [/./, "i16"],
];

/** The packed data of a page. */
export interface PackedData {
  /**
   * The byte length of a JSON text as u32 (little-endian), the text, and the numbers of its f32 arrays: as integers, or as
   * f32 if they must be exact. Other arrays of numbers become lists.
   */
  readonly data: Uint8Array<ArrayBuffer>;
  /**
   * Its byte arrays in sequence, without duplicates: weights, of which every fourth byte lies together, so that deflating
   * finds the exponents of f32.
   */
  readonly files: Uint8Array<ArrayBuffer>;
}

/** Encodes data for a page. @throws {RangeError} if a number in an f32 array is not finite */
export function packed(data: unknown): PackedData {
  const arrays: Uint8Array[] = [];
  const files: { readonly bytes: Uint8Array; readonly at: number }[] = [];
  let at = 0; // the length of the arrays so far
  let fileAt = 0; // that of the files
  const packFile = (bytes: Uint8Array): Packed => {
    const { length } = bytes;
    const same = files.find((file) => sameBytes(file.bytes, bytes));
    if (same) return { kind: "file", scale: 1, at: same.at, length };
    const packed: Packed = { kind: "file", scale: 1, at: fileAt, length };
    files.push({ bytes, at: fileAt });
    fileAt += length;
    return packed;
  };
  const pack = (path: string, value: unknown): unknown => {
    if (value instanceof Float32Array) {
      const [, kind] = kindsOf.find(([pattern]) => pattern.test(path))!;
      const { numbers, scale } = quantised(path, value, kind);
      const { buffer, byteOffset, byteLength } = numbers;
      arrays.push(new Uint8Array(buffer, byteOffset, byteLength));
      at += byteLength;
      return { kind, scale, at: at - byteLength, length: numbers.length } satisfies Packed;
    }
    if (value instanceof Uint8Array) return packFile(value);
    if (ArrayBuffer.isView(value)) return Array.from(value as Uint32Array);
    if (Array.isArray(value)) return value.map((part, i) => pack(`${path}.${i}`, part));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, part]) => [name, pack(`${path}.${name}`, part)]),
    );
  };
  const json = new TextEncoder().encode(JSON.stringify(pack("", data)));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, json.length, true);
  return {
    data: joined([length, json, ...arrays], 4 + json.length + at),
    files: inPlanes(joined(files.map(({ bytes }) => bytes), fileAt)),
  };
}

/** Puts bytes 0, 4, 8, ... first, then bytes 1, 5, 9, ... and so on; or back. */
function inPlanes(bytes: Uint8Array<ArrayBuffer>, back = false): Uint8Array<ArrayBuffer> {
  const moved = new Uint8Array(bytes.length);
  let at = 0;
  for (let plane = 0; plane < 4; plane++) {
    for (let i = plane; i < bytes.length; i += 4, at++) {
      if (back) moved[i] = bytes[at];
      else moved[at] = bytes[i];
    }
  }
  return moved;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Decodes what `packed` encoded; rounded numbers differ by at most half an integer step. */
export function unpacked<T>({ data: bytes, files: planes }: PackedData): T {
  const files = inPlanes(planes, true);
  const start = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const dequantised = ({ kind, scale, at, length }: Packed) => {
    if (kind === "file") return files.slice(at, at + length);
    const from = start + at;
    const { buffer } = bytes.slice(from, from + length * kinds[kind].BYTES_PER_ELEMENT); // for alignment
    return Float32Array.from(new kinds[kind](buffer), (number) => number / scale);
  };
  const json = new TextDecoder().decode(bytes.subarray(4, start));
  return JSON.parse(json, (_, value) => isPacked(value) ? dequantised(value) : value);
}

function quantised(path: string, values: Float32Array, kind: Kind) {
  const i = values.findIndex((value) => !Number.isFinite(value));
  if (i >= 0) {
    throw new RangeError(
      `Cannot report ${path.slice(1)}: value ${i} is ${values[i]} (expected finite numbers)`,
    );
  }
  if (kind === "f32") return { numbers: values, scale: 1 };
  if (kind === "u8") {
    return {
      numbers: Uint8Array.from(values, (v) => Math.round(255 * Math.min(1, Math.max(0, v)))),
      scale: 255,
    };
  }
  const largest = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) || 1;
  const numbers = new kinds[kind](values.length);
  const scale = (kind === "i8" ? 127 : 32_767) / largest;
  values.forEach((value, i) => numbers[i] = Math.round(scale * value));
  return { numbers, scale };
}

function isPacked(value: unknown): value is Packed {
  const { kind, scale, at, length } = Object(value);
  return typeof kind === "string" && [scale, at, length].every((number) => typeof number === "number");
}
