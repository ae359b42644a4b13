import { base64, bytesOf } from "../image/base64.ts";

/** An array in the page's data. */
interface Packed {
  /** Type of the numbers, little-endian. */
  readonly kind: Kind;
  /** value = number / scale. */
  readonly scale: number;
  readonly data: string;
}

/** Types of packed numbers; `u8` holds pixels in [0, 1] as levels of 255. */
const kinds = { i8: Int8Array, i16: Int16Array, u8: Uint8Array, f32: Float32Array };
type Kind = keyof typeof kinds;

/** Type of an array by its path in the data: times are exact, arrays that are only shown are rounded. */
const kindsOf: readonly (readonly [path: RegExp, kind: Kind])[] = [
  [/\.t$/, "f32"],
  [/\.(tests|plane)\.image$/, "u8"],
  [/\.comparison\./, "i8"],
  [/./, "i16"],
];

/**
 * Encodes data as JSON with short f32 arrays: base64 of integers, or of f32 if they must be exact. Other typed arrays
 * become lists of numbers.
 *
 * @throws {RangeError} if a number in an f32 array is not finite
 */
export function packed(data: unknown): string {
  return JSON.stringify(packedAt("", data));
}

/** Decodes what `packed` encoded; rounded numbers differ by at most half an integer step. */
export function unpacked<T>(json: string): T {
  return JSON.parse(json, (_, value) => isPacked(value) ? dequantised(value) : value);
}

function packedAt(path: string, value: unknown): unknown {
  if (value instanceof Float32Array) {
    const [, kind] = kindsOf.find(([pattern]) => pattern.test(path))!;
    return quantised(path, value, kind);
  }
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint32Array);
  if (Array.isArray(value)) return value.map((part, i) => packedAt(`${path}.${i}`, part));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, packedAt(`${path}.${name}`, part)]),
  );
}

function quantised(path: string, values: Float32Array, kind: Kind): Packed {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (!Number.isFinite(size)) {
      throw new RangeError(
        `Cannot report ${path.slice(1)}: value ${i} is ${values[i]} (expected finite numbers)`,
      );
    }
    if (size > largest) largest = size;
  }
  const most = { i8: 127, i16: 32_767, u8: 255, f32: 1 }[kind];
  const scale = kind === "u8" || kind === "f32" || largest === 0 ? most : most / largest;
  const numbers = kind === "f32" ? values : new kinds[kind](values.length);
  if (kind !== "f32") {
    for (let i = 0; i < values.length; i++) {
      numbers[i] = levelOf(values[i], scale, kind);
    }
  }
  return {
    kind,
    scale,
    data: base64(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)),
  };
}

function levelOf(value: number, scale: number, kind: Kind): number {
  return Math.round(scale * (kind === "u8" ? Math.min(1, Math.max(0, value)) : value));
}

function isPacked(value: unknown): value is Packed {
  const { kind, scale, data } = Object(value);
  return typeof kind === "string" && typeof scale === "number" && typeof data === "string";
}

function dequantised({ kind, scale, data }: Packed): Float32Array {
  return Float32Array.from(new kinds[kind](bytesOf(data).buffer), (number) => number / scale);
}
