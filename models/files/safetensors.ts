/**
 * The safetensors file format: an 8-byte length, a JSON header, then the tensors' bytes back to back.
 * Source: https://github.com/huggingface/safetensors#format
 */

import { describeValue } from "../../kernels/core/checks.ts";
import type { HostTensor } from "../nn/state.ts";
import {
  BYTES,
  type Dtype,
  type Entry,
  isNaturals,
  METADATA,
  readHeader,
  safeSizeOf,
  SafetensorsError,
  show,
} from "./safetensors_header.ts";

export { SafetensorsError };

/**
 * Encodes tensors as one safetensors file, f32 little-endian, in the order given.
 *
 * @param tensors by name
 * @param metadata free text stored in the header
 * @returns the bytes of the file, the same for the same input
 * @throws {SafetensorsError} if a tensor is named `__metadata__`, its shape does not match its length, or it is not a
 * Float32Array; or if metadata is not text
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  if (!(tensors instanceof Map)) {
    throw new SafetensorsError(
      `Cannot encode ${describeValue(tensors)} (expected a Map from names to shape and data)`,
    );
  }
  // Built as text, because an object would move integer names to the front.
  const fields: string[] = [];
  for (const [key, value] of Object.entries<unknown>(metadata)) {
    if (typeof value === "string") continue;
    throw new SafetensorsError(
      `Cannot encode metadata ${show(key)}: it is ${show(value)} (expected a string)`,
    );
  }
  if (Object.keys(metadata).length > 0) fields.push(`"${METADATA}":${JSON.stringify(metadata)}`);
  let length = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === METADATA) {
      throw new SafetensorsError(
        `Cannot encode tensor "${METADATA}": the name is reserved; rename the tensor`,
      );
    }
    const why = !isNaturals(shape) || safeSizeOf(shape) !== data.length
      ? `shape [${shape.join(", ")}] does not match ${data.length} values`
      : data instanceof Float32Array
      ? undefined
      : "its values are not a Float32Array";
    if (why) throw new SafetensorsError(`Cannot encode tensor ${show(name)}: ${why}`);
    const offsets = [length, length += data.byteLength];
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype: "F32", shape, data_offsets: offsets })}`);
  }

  const header = new TextEncoder().encode(`{${fields.join(",")}}`);
  const start = 8 + Math.ceil(header.length / 8) * 8;
  const bytes = new Uint8Array(start + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.fill(0x20, 8, start);
  bytes.set(header, 8);
  let offset = start;
  for (const { data } of tensors.values()) {
    // A byte copy keeps NaN payloads; Deno and browsers run on little-endian machines only.
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/**
 * Decodes a safetensors file, with every tensor as f32.
 *
 * F32, F16 and BF16 convert exactly, F64 is rounded to nearest, I64 and I32 must be exact in f32.
 *
 * @param bytes the whole file
 * @param source name of the file, for messages
 * @returns the tensors by name, in the order of their data, and the metadata
 * @throws {SafetensorsError} if the bytes are malformed, or a value or dtype cannot be represented in f32
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  source: string,
): { tensors: Map<string, HostTensor>; metadata: Record<string, string> } {
  if (!(bytes instanceof Uint8Array)) {
    throw new SafetensorsError(
      `Cannot read ${source}: its bytes are ${describeValue(bytes)} (expected the Uint8Array of a file)`,
    );
  }
  try {
    const { start, entries, metadata } = readHeader(bytes);
    const tensors = new Map<string, HostTensor>();
    for (const entry of entries) {
      tensors.set(entry.name, { shape: entry.shape, data: readValues(bytes, start, entry) });
    }
    return { tensors, metadata };
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    throw new SafetensorsError(`Cannot read ${source}: ${error.message}`);
  }
}

/** Reads one element at a byte offset, by dtype. */
const READ: Record<Dtype, (view: DataView, offset: number) => number | bigint> = {
  F32: (view, offset) => view.getFloat32(offset, true),
  F64: (view, offset) => view.getFloat64(offset, true),
  F16: (view, offset) => view.getFloat16(offset, true),
  BF16: (view, offset) => bfloat16(view.getUint16(offset, true)),
  I64: (view, offset) => view.getBigInt64(offset, true),
  I32: (view, offset) => view.getInt32(offset, true),
};

const word = new DataView(new ArrayBuffer(4));

/** bf16 is the upper half of an f32. */
function bfloat16(bits: number): number {
  word.setUint16(0, bits);
  return word.getFloat32(0);
}

/** The values of all empty tensors: buffers of their own would take seconds for a header with many of them. */
const none = new Float32Array();

function readValues(bytes: Uint8Array, start: number, { name, dtype, begin, end }: Entry): Float32Array {
  if (begin === end) return none;
  const values = bytes.subarray(start + begin, start + end);
  const size = BYTES.get(dtype)!;
  const data = new Float32Array(values.length / size);
  if (dtype === "F32") {
    new Uint8Array(data.buffer).set(values);
    return data;
  }
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  for (let i = 0; i < data.length; i++) {
    const value = READ[dtype](view, i * size);
    data[i] = Number(value);
    if (dtype.startsWith("I") && BigInt(data[i]) !== BigInt(value)) {
      throw new SafetensorsError(
        `tensor ${show(name)}: integer ${value} at index ${i} is not exact in f32; store it as F32 or F64`,
      );
    }
  }
  return data;
}
