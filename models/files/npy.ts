/**
 * Encodes an array as an npy file of NumPy, version 1.0, dtype `<f4`, C order, data aligned to 64 bytes.
 *
 * @param shape the array's shape; [] is a scalar
 * @param data values in row-major order
 * @throws {RangeError} if the shape does not match the length
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export function encodeNpy(shape: readonly number[], data: Float32Array): Uint8Array<ArrayBuffer> {
  if (shape.reduce((size, length) => size * length, 1) !== data.length) {
    throw new RangeError(
      `Cannot encode npy: shape [${shape.join(", ")}] does not match ${data.length} values`,
    );
  }
  const header = npyHeader("<f4", shape);
  const bytes = new Uint8Array(header.length + data.byteLength);
  bytes.set(header);
  // Deno and browsers run on little-endian machines only.
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return bytes;
}

/** The header of an npy file for a dtype such as `<f4`. */
export function npyHeader(type: string, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const start = Math.ceil((10 + header.length + 1) / 64) * 64;
  const bytes = new Uint8Array(start);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]); // \x93NUMPY, version 1.0
  new DataView(bytes.buffer).setUint16(8, start - 10, true);
  bytes.set(new TextEncoder().encode(header.padEnd(start - 11) + "\n"), 10);
  return bytes;
}
