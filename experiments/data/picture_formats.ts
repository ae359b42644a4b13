/** Decodes PNG and JPEG files. Limits are checked before memory is taken. */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import decode, { init } from "npm:@jsquash/jpeg@1.6.0/decode.js";
import untyped from "npm:pngjs@7.0.0";
import { packageFolder } from "../run/program_files.ts";
import { DataError } from "./dataset.ts";
import { type ImageView, maxPixels } from "./images.ts";

/** The function of pngjs that we use: pixels [H, W, 4]; of 16 bits if that is their depth and `skipRescale` is set. */
type ReadPng = (file: Buffer, how: { readonly skipRescale: boolean }) => { readonly data: ArrayLike<number> };

const { PNG } = untyped as { readonly PNG: { readonly sync: { readonly read: ReadPng } } };

/** Maximum bytes of an image file. */
export const maxFileBytes: number = 2 ** 25;

const notOne = (path: string, format: string) =>
  new DataError(
    `Cannot read ${path}: it is damaged or not a ${format} file (expected ${format}, as its name says); ` +
      `save it again as ${format}`,
  );
const damagedOne = (path: string, format: string, reason?: string) =>
  new DataError(
    `Cannot read ${path}: the file is damaged${
      reason ? `: ${reason}` : ""
    } (expected a whole ${format} image); ` +
      "replace or remove it",
  );

function checkPixels(height: number, width: number, path: string): void {
  if (height * width >= 1 && height * width <= maxPixels) return;
  throw new DataError(
    `Cannot read ${path}: its header declares ${height}x${width} pixels (expected 1 to ${maxPixels} of them); ` +
      "save it smaller",
  );
}

/**
 * Decodes a PNG file that fits eight bits per channel without loss: opaque, grey or in colour, with or without a
 * palette, interlaced or not. A palette of greys counts as grey. Gamma and colour profiles are ignored.
 *
 * @param path its name, for messages
 */
export function decodePng(bytes: Uint8Array, path: string): ImageView {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The first chunk is the header: width, height, bit depth, colour type.
  if (file.length < 29 || file.toString("latin1", 12, 16) !== "IHDR") throw notOne(path, "PNG");
  const [width, height, depth, type] = [file.readUInt32BE(16), file.readUInt32BE(20), file[24], file[25]];
  checkPixels(height, width, path);
  const white = depth === 16 ? 65_535 : 255;
  let rgba: ArrayLike<number>;
  try {
    checkLength(file, [width, height, depth, type]);
    rgba = PNG.sync.read(file, { skipRescale: depth === 16 }).data;
  } catch {
    throw damagedOne(path, "PNG");
  }
  const cannotUse = (what: string) => new DataError(`Cannot use ${path}: it has ${what}`);
  let channels: 1 | 3 = type === 2 || type === 6 ? 3 : 1;
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i + 3] !== white) {
      throw cannotUse("transparent pixels (expected opaque ones); save it on a background");
    }
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) channels = 3;
  }
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < pixels.length; i++) {
    const value = rgba[4 * Math.floor(i / channels) + i % channels];
    if (depth === 16 && value % 257 !== 0) {
      throw cannotUse("16 bits per channel (expected 8); save it with 8");
    }
    pixels[i] = depth === 16 ? value / 257 : value;
  }
  return { channels, height, width, bytes: pixels, planeStep: 1, pixelStep: channels };
}

/** Passes of an interlaced image: first column and row, column and row step. */
const adam7 = ["0088", "4088", "0448", "2044", "0224", "1022", "0112"].map((pass) => [...pass].map(Number));
/** Values per pixel, by colour type. */
const valuesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/**
 * Checks that the file holds all rows that its header declares, and ends after them: pngjs draws what is missing black.
 *
 * @throws {RangeError} if not
 */
function checkLength(file: Buffer, [width, height, depth, type]: readonly number[]): void {
  const data: Uint8Array[] = [];
  let at = 8;
  for (let name = ""; name !== "IEND"; at += 12 + file.readUInt32BE(at)) {
    name = file.toString("latin1", at + 4, at + 8);
    if (name === "IHDR" && at > 8) throw new RangeError("two headers");
    if (name === "IDAT") data.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  }
  const passes = file[28] === 1 ? adam7 : [[0, 0, 1, 1]];
  const size = passes.reduce((sum, [x, y, dx, dy]) => {
    const [columns, rows] = [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)];
    return sum + (columns > 0 ? rows * (1 + Math.ceil(columns * valuesOf[type] * depth / 8)) : 0);
  }, 0);
  const { length } = inflateSync(Buffer.concat(data), { maxOutputLength: size });
  if (at !== file.length || length !== size) throw new RangeError("missing rows, or more after the end");
}

/** The decoder, once it is loaded: MozJPEG in WebAssembly. */
let decoder: Promise<void> | undefined;
/** The first problem that the decoder states, even if it can go on. */
let problem: string | undefined;

/**
 * Decodes a JPEG file, grey or in colour, upright as its Exif data says. Colour profiles are ignored.
 *
 * @param path its name, for messages
 */
export async function decodeJpeg(bytes: Uint8Array<ArrayBuffer>, path: string): Promise<ImageView> {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw notOne(path, "JPEG");
  const frame = readFrame(bytes);
  if (!frame) throw damagedOne(path, "JPEG");
  checkPixels(frame.height, frame.width, path);
  if (frame.components !== 1 && frame.components !== 3) {
    throw new DataError(
      `Cannot read ${path}: it has ${frame.components} channels (expected grey or red, green and blue); save it as RGB`,
    );
  }
  decoder ??= loadDecoder();
  await decoder;
  problem = undefined;
  const image = await decode(bytes.buffer).catch((error: unknown) => {
    problem ??= error instanceof Error ? error.message : String(error);
    decoder = undefined; // a failed decoder may be in any state
  });
  if (problem !== undefined || !image || image.height !== frame.height || image.width !== frame.width) {
    throw damagedOne(path, "JPEG", problem);
  }
  return upright(image, frame.components, frame.orientation);
}

async function loadDecoder(): Promise<void> {
  const folder = await packageFolder("npm:@jsquash/jpeg@1.6.0");
  const module = await WebAssembly.compile(await Deno.readFile(join(folder, "codec/dec/mozjpeg_dec.wasm")));
  const instantiateWasm = (imports: WebAssembly.Imports, use: (instance: WebAssembly.Instance) => void) => {
    const instance = new WebAssembly.Instance(module, imports);
    use(instance);
    return instance.exports;
  };
  await init({ instantiateWasm, printErr: (line: string) => problem ??= line });
}

/**
 * Reads the segments before the image data: the size, the number of channels, and how the camera was held (1 upright,
 * 2 to 8 turned or mirrored).
 *
 * @returns undefined if the file is damaged
 * Source: ITU-T T.81, annex B
 */
function readFrame(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  for (let at = 2; at + 10 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1];
    if (marker === 0xff) { // padding
      at++;
      continue;
    }
    if (marker === 0xe1) orientation = orientationIn(bytes.subarray(at + 4, at + 2 + view.getUint16(at + 2)));
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      return { height, width, components: bytes[at + 9], orientation };
    }
    at += 2 + view.getUint16(at + 2);
  }
}

/** The orientation that an Exif segment states; 1 if none or damaged. Source: CIPA DC-008, section 4.6.5 */
function orientationIn(segment: Uint8Array): number {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  try {
    if (view.getUint32(0) !== 0x45786966) return 1; // Exif
    const little = view.getUint16(6) === 0x4949;
    const list = 6 + view.getUint32(10, little);
    for (let entry = 0; entry < view.getUint16(list, little); entry++) {
      const field = list + 2 + 12 * entry;
      if (view.getUint16(field, little) !== 0x0112) continue;
      const value = view.getUint16(field + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // beyond the end
  }
  return 1;
}

/** Turns and mirrors an image u8[H, W, 4], and keeps its one or three channels, u8[H, W, C]. */
function upright(
  { data, height: H, width: W }: ImageData,
  channels: 1 | 3,
  orientation: number,
): ImageView {
  const turned = orientation >= 5;
  const [mirrored, upside] = [[2, 3, 7, 8], [3, 4, 6, 7]].map((list) => list.includes(orientation));
  const [height, width] = turned ? [W, H] : [H, W];
  const bytes = new Uint8Array(height * width * channels);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [row, column] = turned ? [x, y] : [y, x];
      const from = 4 * ((upside ? H - 1 - row : row) * W + (mirrored ? W - 1 - column : column));
      for (let c = 0; c < channels; c++) bytes[at++] = data[from + c];
    }
  }
  return { channels, height, width, bytes, planeStep: 1, pixelStep: channels };
}
