/** Numbers as integer multiples of a step, to keep the page small: value = step x integer. */
export interface Quantised {
  /** Bits of the signed integers, little-endian. */
  readonly bits: 8 | 16;
  readonly step: number;
  /** The integers in base64. */
  readonly data: string;
}

/**
 * Rounds numbers to multiples of a step: the largest magnitude over 127 or 32,767.
 *
 * @returns values with an error of half a step at most
 * @throws {RangeError} if a value is not finite
 */
export function quantise(values: Float32Array, bits: 8 | 16): Quantised {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (!Number.isFinite(size)) {
      throw new RangeError(`Cannot quantise: value ${i} is ${values[i]} (expected finite numbers)`);
    }
    if (size > largest) largest = size;
  }
  const step = largest > 0 ? largest / (2 ** (bits - 1) - 1) : 1;
  const integers = bits === 8 ? new Int8Array(values.length) : new Int16Array(values.length);
  for (let i = 0; i < values.length; i++) integers[i] = Math.round(values[i] / step);
  return { bits, step, data: base64(new Uint8Array(integers.buffer)) };
}

/** Bytes in base64, with functions that every browser has. */
export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(text);
}

/** Rounds to six digits: more than a reader or a chart can tell apart. */
export function sixDigits(value: number): number {
  return Number(value.toPrecision(6));
}
