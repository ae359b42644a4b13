/**
 * The safetensors file format: an 8-byte length, a JSON header, then the tensors' bytes back to back.
 * Source: https://github.com/huggingface/safetensors#format
 */

import { UserError } from "../../kernels/mod.ts";
import { describeValue, refuse } from "../../kernels/core/checks.ts";
import type { HostTensor } from "../nn/module.ts";

/** Thrown if a file is not valid safetensors, or tensors cannot be written as one. */
export class SafetensorsError extends UserError {
  /** Name of the error. */
  override name = "SafetensorsError";
}

/** Throws what is wrong with a file; {@linkcode decodeSafetensors} adds its name. */
function fail(why: string): never {
  throw new SafetensorsError(why);
}

/** One tensor of a header: its shape, dtype, and the byte range of its data after the header. */
export interface Entry {
  name: string;
  shape: number[];
  dtype: Dtype;
  begin: number;
  end: number;
}

/** The supported dtypes. */
export type Dtype = "F32" | "F64" | "F16" | "BF16" | "I64" | "I32";

/** The header's key for metadata. */
export const METADATA = "__metadata__";

/** Bytes per element. */
export const BYTES = new Map<Dtype, number>([
  ["F32", 4],
  ["F64", 8],
  ["F16", 2],
  ["BF16", 2],
  ["I64", 8],
  ["I32", 4],
]);

const MAX_HEADER_BYTES = 100_000_000;
/** Magic number of a zip archive: "PK", 3, 4. */
const ZIP = 0x504b0304;

/**
 * Reads and checks the header of a safetensors file.
 *
 * @param bytes the whole file
 * @returns the offset of the data, the tensors in the order of their data, and the metadata
 */
export function readHeader(
  bytes: Uint8Array,
): { start: number; entries: Entry[]; metadata: Record<string, string> } {
  if (bytes.length < 8) {
    fail(
      `the file has ${bytes.length} bytes (expected a header length in the first 8); is it a safetensors file?`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    fail(
      view.getUint32(0) === ZIP
        ? "it is a zip archive, as torch.save() writes (expected a file from safetensors.torch.save_file())"
        : `header length is ${length} (expected at most ${MAX_HEADER_BYTES}); is it a safetensors file?`,
    );
  }
  const start = 8 + length;
  if (start > bytes.length) {
    fail(`header length is ${length} but only ${bytes.length - 8} bytes follow it; the file is truncated`);
  }
  const header = parseHeader(bytes.subarray(8, start));
  const metadata = parseMetadata(header);
  const entries = Object.entries(header).filter(([name]) => name !== METADATA).map(parseEntry);
  checkCoverage(entries, bytes.length - start);
  return { start, entries, metadata };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (text.startsWith("{")) return JSON.parse(text);
  } catch {
    fail("the header is not JSON in UTF-8; the file is damaged or not a safetensors file");
  }
  fail("the header is not a JSON object (expected it to begin with {)");
}

function parseMetadata(header: Record<string, unknown>): Record<string, string> {
  if (!Object.hasOwn(header, METADATA)) return {};
  const metadata = header[METADATA];
  if (!isObject(metadata)) fail(`${METADATA} is ${show(metadata)} (expected an object of strings)`);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string") {
      fail(`${METADATA} has ${show(value)} under ${show(key)} (expected a string)`);
    }
  }
  return metadata as Record<string, string>;
}

function parseEntry([name, entry]: [string, unknown]): Entry {
  const refused = (problem: string) => fail(`tensor ${show(name)}: ${problem}`);
  if (!isObject(entry)) {
    return refused(`its entry is ${show(entry)} (expected dtype, shape and data_offsets)`);
  }

  const { shape, data_offsets: offsets } = entry;
  const dtype = entry.dtype as Dtype;
  const bytes = BYTES.get(dtype);
  if (bytes === undefined) {
    const known = [...BYTES.keys()].join(", ");
    return refused(`dtype ${show(dtype)} is not supported (expected ${known}); convert it to F32`);
  }
  if (!isNaturals(shape)) return refused("shape is not a list of non-negative integers");
  const size = safeSizeOf(shape);
  if (size === undefined) return refused("shape has too many elements");
  if (!isNaturals(offsets) || offsets.length !== 2) {
    return refused("data_offsets are not two non-negative integers");
  }
  const [begin, end] = offsets;
  if (begin > end) return refused(`data_offsets begin at ${begin} but end at ${end}`);
  if (end - begin !== size * bytes) {
    return refused(`data_offsets span ${end - begin} bytes, shape and dtype ${dtype} need ${size * bytes}`);
  }
  return { name, shape, dtype, begin, end };
}

/** Sorts the entries by offset. Rejects overlaps, gaps, and data that do not end with the file. */
function checkCoverage(entries: Entry[], length: number): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== position) {
      const problem = begin < position ? "it overlaps the tensor before it" : "there is a gap before it";
      fail(`tensor ${show(name)}: its data begin at ${begin}, ${problem} (expected ${position})`);
    }
    if (end > length) {
      const held = `the file holds ${length} bytes of data; the file is truncated`;
      fail(`tensor ${show(name)}: its data end at ${end} but ${held}`);
    }
    position = end;
  }
  if (position !== length) fail(`the tensors end at ${position} but the file holds ${length} bytes of data`);
}

/** The number of elements of a shape; undefined if it is not a safe integer. */
export function safeSizeOf(shape: readonly number[]): number | undefined {
  let size = 1;
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(size)) return undefined;
  }
  return size;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a list of non-negative safe integers, as shapes and offsets are. */
export function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((x) => Number.isSafeInteger(x) && x >= 0);
}

/** A value from a file as short text on one line, for messages. */
export function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 60 ? value.slice(0, 60) + "..." : value);
  }
  if (Array.isArray(value)) return "a list";
  return isObject(value) ? "an object" : String(value);
}

/**
 * The safetensors file format: an 8-byte length, a JSON header, then the tensors' bytes back to back.
 * Source: https://github.com/huggingface/safetensors#format
 */

/**
 * Encodes tensors as one safetensors file, f32 little-endian, in the order given.
 *
 * @param tensors by name
 * @param metadata free text stored in the header
 * @returns the bytes of the file, the same for the same input
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  if (!(tensors instanceof Map)) {
    refuse(SafetensorsError, `encode ${describeValue(tensors)}`, "a Map from names to shape and data");
  }
  // Built as text, because an object would move integer names to the front.
  const fields: string[] = [];
  for (const [key, value] of Object.entries<unknown>(metadata)) {
    if (typeof value === "string") continue;
    refuse(SafetensorsError, `encode metadata ${show(key)}: it is ${show(value)}`, "a string");
  }
  if (Object.keys(metadata).length > 0) fields.push(`"${METADATA}":${JSON.stringify(metadata)}`);
  let length = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === METADATA) {
      refuse(SafetensorsError, `encode tensor "${METADATA}": the name is reserved; rename the tensor`);
    }
    const why = !isNaturals(shape) || safeSizeOf(shape) !== data.length
      ? `shape [${shape.join(", ")}] does not match ${data.length} values`
      : data instanceof Float32Array
      ? undefined
      : "its values are not a Float32Array";
    if (why) refuse(SafetensorsError, `encode tensor ${show(name)}: ${why}`);
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
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  source: string,
): { tensors: Map<string, HostTensor>; metadata: Record<string, string> } {
  if (!(bytes instanceof Uint8Array)) {
    const shown = describeValue(bytes);
    refuse(SafetensorsError, `read ${source}: its bytes are ${shown}`, "the Uint8Array of a file");
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
    refuse(SafetensorsError, `read ${source}: ${error.message}`);
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
      fail(
        `tensor ${show(name)}: integer ${value} at index ${i} is not exact in f32; store it as F32 or F64`,
      );
    }
  }
  return data;
}
