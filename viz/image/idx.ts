/** The header of an IDX file of unsigned bytes. */
export interface IdxHeader {
  /** One length per axis. */
  readonly shape: readonly number[];
  /** Offset of the values. */
  readonly start: number;
  /** Offset of their end, according to the lengths. */
  readonly end: number;
}

/**
 * Reads the header of an IDX file: a magic number with the number of axes, then their lengths, each u32.
 *
 * @returns undefined if the bytes do not start with a complete header
 * Source: http://yann.lecun.com/exdb/mnist/
 */
export function idxHeader(bytes: Uint8Array): IdxHeader | undefined {
  const rank = bytes[3];
  const start = 4 + 4 * rank;
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 8 || !(bytes.length >= start)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  return { shape, start, end: start + shape.reduce((product, length) => product * length, 1) };
}
