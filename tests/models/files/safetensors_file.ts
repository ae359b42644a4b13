/** Safetensors files made by hand. */

/** A tensor of a shape and its values. */
export const tensor = (shape: number[], ...values: number[]) => ({ shape, data: Float32Array.from(values) });
/** A tensor's entry in the header, well formed or not. */
export const entry = (shape: unknown, data_offsets: unknown, dtype: unknown = "F32") => ({
  dtype,
  shape,
  data_offsets,
});

/** A file with any header text and data, well formed or not. */
export function file(header: unknown, data = 0, headerBytes?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, headerBytes ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** A file of one tensor, `a`, of any type. */
export function dataFile(dtype: string, bytes: Uint8Array, length: number): Uint8Array {
  const result = file({ a: entry([length], [0, bytes.length], dtype) }, bytes.length);
  result.set(bytes, result.length - bytes.length);
  return result;
}
