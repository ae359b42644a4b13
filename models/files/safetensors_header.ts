/** The header of a safetensors file, parsed as untrusted input. */

import { UserError } from "../../kernels/mod.ts";

/** Thrown if a file is not valid safetensors, or tensors cannot be written as one. */
export class SafetensorsError extends UserError {
  /** Name of the error. */
  override name = "SafetensorsError";
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
const MAX_DEPTH = 3; // header, entry, list

/**
 * Reads and checks the header of a safetensors file.
 *
 * @param bytes the whole file
 * @returns the offset of the data, the tensors in the order of their data, and the metadata
 * @throws {SafetensorsError} if the header is malformed or does not account for every byte of the file
 */
export function readHeader(
  bytes: Uint8Array,
): { start: number; entries: Entry[]; metadata: Record<string, string> } {
  if (bytes.length < 8) {
    throw new SafetensorsError(
      `the file has ${bytes.length} bytes (expected a header length in the first 8); is it a safetensors file?`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw new SafetensorsError(
      view.getUint32(0) === ZIP
        ? "it is a zip archive, as torch.save() writes (expected a file from safetensors.torch.save_file())"
        : `header length is ${length} (expected at most ${MAX_HEADER_BYTES}); is it a safetensors file?`,
    );
  }
  const start = 8 + length;
  if (start > bytes.length) {
    throw new SafetensorsError(
      `header length is ${length} but only ${bytes.length - 8} bytes follow it; the file is truncated`,
    );
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
    if (!text.startsWith("{")) {
      throw new SafetensorsError("the header is not a JSON object (expected it to begin with {)");
    }
    checkKeys(text);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SafetensorsError) throw error;
    throw new SafetensorsError(
      "the header is not JSON in UTF-8; the file is damaged or not a safetensors file",
    );
  }
}

/**
 * Rejects duplicate names, which `JSON.parse` accepts, and deep nesting, which makes it run out of memory. One pass that
 * allocates only the names and a set for each object.
 */
function checkKeys(json: string): void {
  const open: (Set<string> | undefined)[] = [];
  const colon = /[ \t\r\n]*:/y;
  for (let i = 0; i < json.length; i++) {
    if (json[i] === "{" || json[i] === "[") {
      if (open.push(json[i] === "{" ? new Set() : undefined) <= MAX_DEPTH) continue;
      throw new SafetensorsError(`the header nests deeper than ${MAX_DEPTH} levels (expected a flat table)`);
    } else if (json[i] === "}" || json[i] === "]") {
      open.pop();
    } else if (json[i] === '"') {
      const from = i++;
      while (i < json.length && json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
      colon.lastIndex = i + 1;
      if (!colon.test(json)) continue;
      const text = json.slice(from + 1, i);
      const key: string = text.includes("\\") ? JSON.parse(`"${text}"`) : text;
      const keys = open.at(-1);
      if (keys?.has(key)) {
        throw new SafetensorsError(`${show(key)} occurs twice in the header (expected every name once)`);
      }
      keys?.add(key);
    }
  }
}

function parseMetadata(header: Record<string, unknown>): Record<string, string> {
  if (!Object.hasOwn(header, METADATA)) return {};
  const metadata = header[METADATA];
  if (!isObject(metadata)) {
    throw new SafetensorsError(`${METADATA} is ${show(metadata)} (expected an object of strings)`);
  }
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string") {
      throw new SafetensorsError(`${METADATA} has ${show(value)} under ${show(key)} (expected a string)`);
    }
  }
  return metadata as Record<string, string>;
}

function parseEntry([name, entry]: [string, unknown]): Entry {
  const fail = (problem: string): never => {
    throw new SafetensorsError(`tensor ${show(name)}: ${problem}`);
  };
  if (!isObject(entry)) return fail(`its entry is ${show(entry)} (expected dtype, shape and data_offsets)`);

  const { shape, data_offsets: offsets } = entry;
  const dtype = entry.dtype as Dtype;
  const bytes = BYTES.get(dtype);
  if (bytes === undefined) {
    const known = [...BYTES.keys()].join(", ");
    return fail(`dtype ${show(dtype)} is not supported (expected ${known}); convert it to F32`);
  }
  if (!isNaturals(shape)) return fail("shape is not a list of non-negative integers");
  const size = safeSizeOf(shape);
  if (size === undefined) return fail("shape has too many elements");
  if (!isNaturals(offsets) || offsets.length !== 2) {
    return fail("data_offsets are not two non-negative integers");
  }
  const [begin, end] = offsets;
  if (begin > end) return fail(`data_offsets begin at ${begin} but end at ${end}`);
  if (end - begin !== size * bytes) {
    return fail(`data_offsets span ${end - begin} bytes, shape and dtype ${dtype} need ${size * bytes}`);
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
      throw new SafetensorsError(
        `tensor ${show(name)}: its data begin at ${begin}, ${problem} (expected ${position})`,
      );
    }
    if (end > length) {
      const held = `the file holds ${length} bytes of data; the file is truncated`;
      throw new SafetensorsError(`tensor ${show(name)}: its data end at ${end} but ${held}`);
    }
    position = end;
  }
  if (position !== length) {
    throw new SafetensorsError(`the tensors end at ${position} but the file holds ${length} bytes of data`);
  }
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
