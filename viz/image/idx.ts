/** The header of an IDX file of unsigned bytes. */
export interface IdxHeader {
  /** One length per axis. */
  readonly shape: readonly number[];
  /** Where the values begin. */
  readonly start: number;
  /** Where they end, as the lengths say. */
  readonly end: number;
}

/**
 * Reads the header of an IDX file: a magic number with the number of axes, then their lengths, each u32.
 *
 * @returns undefined if the bytes do not begin with a whole header
 * Source: http://yann.lecun.com/exdb/mnist/
 */
export function idxHeader(bytes: Uint8Array): IdxHeader | undefined {
  const [rank, start] = [bytes[3], 4 + 4 * bytes[3]];
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 8 || !(bytes.length >= start)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  return { shape, start, end: start + shape.reduce((product, length) => product * length, 1) };
}
