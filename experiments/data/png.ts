/**
 * Decodes PNG files; checks limits before it allocates memory.
 * Source: PNG specification, third edition, sections 5 (chunks), 7 to 9 (passes and filters) and 11
 */

import { crc32, inflateSync } from "node:zlib";
import { DataError } from "./dataset.ts";
import type { ImageView } from "./prepare_image.ts";

/** Maximum bytes of an image file. */
export const maxFileBytes: number = 2 ** 25;
/** Maximum pixels of an image, such as 8192 x 4096. */
export const maxPixels: number = 2 ** 25;

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Beginning of every file: the signature, then length and name of the header chunk, IHDR. */
const start = [...signature, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];

/** Values per pixel and allowed bit depths, by colour type. */
const colourTypes: Readonly<Record<number, { values: number; depths: readonly number[] }>> = {
  0: { values: 1, depths: [1, 2, 4, 8, 16] }, // grey
  2: { values: 3, depths: [8, 16] }, // red, green, blue
  3: { values: 1, depths: [1, 2, 4, 8] }, // an index into the palette
  4: { values: 2, depths: [8, 16] }, // grey, alpha
  6: { values: 4, depths: [8, 16] }, // red, green, blue, alpha
};

/** Passes of an interlaced image: first column, first row, column step and row step, one digit each. */
const adam7 = ["0088", "4088", "0448", "2044", "0224", "1022", "0112"];

type Header = ReturnType<typeof readHeader>;
type Chunks = ReturnType<typeof readChunks>;

/**
 * Decodes a PNG file that fits eight bits per channel without loss: opaque, grey or in colour, with or without a
 * palette, interlaced or not. A palette image with only grey colours counts as grey. Gamma and colour profiles are
 * ignored.
 *
 * @param bytes the whole file; no more is unpacked than its header declares
 * @param path its name, for messages
 * @throws {DataError} if the file is damaged or not PNG, or the image is too large, not opaque, or needs more than
 * eight bits
 */
export function decodePng(bytes: Uint8Array, path: string): ImageView {
  const cannotUse = (what: string) => new DataError(`Cannot use ${path}: it has ${what}`);
  try {
    const header = readHeader(bytes, path);
    const chunks = readChunks(bytes);
    const samples = readSamples(header, unpack(header, chunks.image));
    if (!samples) throw cannotUse("16 bits per channel (expected 8); save it with 8");
    const image = toImage(header, samples, chunks);
    if (!image) throw cannotUse("transparent pixels (expected opaque ones); save it on a background");
    return image;
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `Cannot read ${path}: the file is damaged (expected a whole PNG image); replace or remove it`,
      { cause: error },
    );
  }
}

function readHeader(bytes: Uint8Array, path: string) {
  if (bytes.length < start.length + 13 || start.some((byte, i) => bytes[i] !== byte)) {
    throw new DataError(
      `Cannot read ${path}: it is damaged or not a PNG file (expected PNG, as its name says); save it again as PNG`,
    );
  }
  const [width, height] = [u32(bytes, start.length), u32(bytes, start.length + 4)];
  if (width * height < 1 || width * height > maxPixels) {
    throw new DataError(
      `Cannot read ${path}: its header declares ${height}x${width} pixels (expected 1 to ${maxPixels} of them); ` +
        "save it smaller",
    );
  }
  const [depth, colourType, compression, filter, interlace] = bytes.subarray(start.length + 8);
  if (!colourTypes[colourType]?.depths.includes(depth) || compression + filter > 0 || interlace > 1) {
    throw new RangeError("unknown format");
  }
  return { width, height, depth, colourType, interlaced: interlace === 1 };
}

/** Chunks that make up an image, in the order of the file; only IDAT may come several times. */
const chunkOrder = ["IHDR", "PLTE", "tRNS", "IDAT", "IEND"];

/** Checks all chunks, and returns the contents of those that make up the image. */
function readChunks(bytes: Uint8Array) {
  const contents: Record<string, Uint8Array> = { PLTE: new Uint8Array(), tRNS: new Uint8Array() };
  const image = new Uint8Array(bytes.length);
  let imageBytes = 0;
  let [at, place] = [signature.length, -1];
  while (chunkOrder[place] !== "IEND") {
    const end = at + 8 + u32(bytes, at);
    if (crc32(bytes.subarray(at + 4, end)) !== u32(bytes, end)) throw new RangeError("wrong checksum");
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, end);
    at = end + 4;
    const next = chunkOrder.indexOf(name);
    if (next < 0 && /^[a-z]/.test(name)) continue; // optional
    const isInOrder = next > place || next === place && name === "IDAT";
    if (!isInOrder) throw new RangeError(`unexpected ${name}`);
    place = next;
    contents[name] = content;
    if (name !== "IDAT") continue;
    image.set(content, imageBytes);
    imageBytes += content.length;
  }
  if (at < bytes.length) throw new RangeError("more after the end");
  /** `transparency`: alpha of the palette's colours, or the one colour that is transparent. */
  return { image: image.subarray(0, imageBytes), palette: contents.PLTE, transparency: contents.tRNS };
}

/** The passes that contain pixels, with their sizes. */
function passesOf({ width, height, depth, colourType, interlaced }: Header) {
  return (interlaced ? adam7 : ["0011"]).map((pass) => {
    const [x, y, dx, dy] = Array.from(pass, Number);
    const [columns, rows] = [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)];
    const lineBytes = Math.ceil(columns * colourTypes[colourType].values * depth / 8);
    return { x, y, dx, dy, columns, rows, lineBytes };
  }).filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Unpacks exactly as many bytes as the header implies: a filter byte and a line for each line of each pass. */
function unpack(header: Header, image: Uint8Array): Uint8Array {
  const size = passesOf(header).reduce((sum, { rows, lineBytes }) => sum + rows * (1 + lineBytes), 0);
  const bytes = inflateSync(image, { maxOutputLength: size });
  if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes instead of ${size}`);
  return bytes;
}

/** Stored values u8[H, W, V]; with 16 bits the upper byte, or undefined if the lower byte differs. */
function readSamples(header: Header, raw: Uint8Array): Uint8Array | undefined {
  const { width, height, depth, colourType } = header;
  const { values } = colourTypes[colourType];
  const samples = new Uint8Array(width * height * values);
  let start = 0;
  for (const { x, y, dx, dy, columns, rows, lineBytes } of passesOf(header)) {
    const lines = raw.subarray(start, start += rows * (1 + lineBytes));
    undoFilters(lines, lineBytes, Math.ceil(values * depth / 8));
    for (let row = 0; row < rows; row++) {
      const line = lines.subarray(row * (1 + lineBytes) + 1, (row + 1) * (1 + lineBytes));
      const first = (y + row * dy) * width + x;
      for (let column = 0, i = 0; column < columns; column++) {
        for (let v = 0; v < values; v++, i++) {
          if (depth === 16 && line[2 * i] !== line[2 * i + 1]) return undefined;
          samples[(first + column * dx) * values + v] = valueAt(line, i, depth);
        }
      }
    }
  }
  return samples;
}

function valueAt(line: Uint8Array, i: number, depth: number): number {
  if (depth >= 8) return line[i * depth >> 3];
  return line[i * depth >> 3] >> (8 - depth - i * depth % 8) & (2 ** depth - 1);
}

/** @param step bytes from a pixel to the next */
function undoFilters(lines: Uint8Array, lineBytes: number, step: number): void {
  const stride = 1 + lineBytes;
  for (let start = 0; start < lines.length; start += stride) {
    const filter = lines[start];
    if (filter > 4) throw new RangeError(`unknown filter ${filter}`);
    if (filter === 0) continue;
    for (let i = start + 1; i < start + stride; i++) {
      const inLine = i - start > step;
      const left = inLine ? lines[i - step] : 0;
      const up = start > 0 ? lines[i - stride] : 0;
      if (filter === 1) lines[i] += left;
      else if (filter === 2) lines[i] += up;
      else if (filter === 3) lines[i] += (left + up) >> 1;
      else lines[i] += paeth(left, up, inLine && start > 0 ? lines[i - stride - step] : 0);
    }
  }
}

/** The neighbour nearest to left + up - corner; ties go to left, then up. */
function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** Pixels in eight bits without alpha; undefined if a pixel is not opaque. */
function toImage(header: Header, samples: Uint8Array, chunks: Chunks): ImageView | undefined {
  const { width, height, depth, colourType } = header;
  const isIndexed = colourType === 3;
  const colours = isIndexed ? lookUp(samples, chunks) : samples;
  const values = isIndexed ? 4 : colourTypes[colourType].values;
  const channels = values < 3 || isIndexed && isGrey(colours) ? 1 : 3;
  const bytes = new Uint8Array(width * height * channels);
  const scale = depth < 8 && !isIndexed ? 255 / (2 ** depth - 1) : 1;
  const clear = values % 2 === 1 ? clearColour(chunks, values, depth) : undefined;
  for (let i = 0, at = 0; i < colours.length; i += values) {
    const isOpaque = values % 2 === 0
      ? colours[i + values - 1] === 255
      : !clear?.every((value, c) => value === colours[i + c]);
    if (!isOpaque) return undefined;
    for (let c = 0; c < channels; c++) bytes[at++] = scale * colours[i + c];
  }
  return { channels, height, width, bytes, planeStep: 1, pixelStep: channels };
}

/** The colour that means transparent, as samples; undefined if there is none. */
function clearColour({ transparency }: Chunks, values: number, depth: number): number[] | undefined {
  if (transparency.length === 0) return undefined;
  if (transparency.length !== 2 * values) throw new RangeError("transparency of another colour type");
  const unit = depth === 16 ? 257 : 1; // of 16 bits only the upper byte is kept; the lower one is equal
  return Array.from(
    { length: values },
    (_, c) => (256 * transparency[2 * c] + transparency[2 * c + 1]) / unit,
  );
}

/** Colours and alpha of the palette, u8[H, W, 4]. */
function lookUp(indices: Uint8Array, { palette, transparency }: Chunks): Uint8Array {
  if (palette.length % 3 !== 0 || palette.length > 3 * 256) throw new RangeError("no whole colours");
  const colours = new Uint8Array(4 * indices.length);
  for (let i = 0; i < indices.length; i++) {
    const entry = 3 * indices[i];
    if (entry + 3 > palette.length) throw new RangeError("a colour outside the palette");
    for (let c = 0; c < 3; c++) colours[4 * i + c] = palette[entry + c];
    colours[4 * i + 3] = transparency[indices[i]] ?? 255; // entries without alpha are opaque
  }
  return colours;
}

/** @param colours u8[H, W, 4] */
function isGrey(colours: Uint8Array): boolean {
  for (let i = 0; i < colours.length; i += 4) {
    if (colours[i] !== colours[i + 1] || colours[i] !== colours[i + 2]) return false;
  }
  return true;
}

/** The big-endian u32 at a position. @throws {RangeError} beyond the end */
function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}
