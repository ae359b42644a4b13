/**
 * Decodes JPEG files by MozJPEG in WebAssembly; checks limits before it allocates memory.
 * Source: ITU-T T.81, annex B (segments); CIPA DC-008 (Exif), section 4.6.5 (orientation)
 */

import { join } from "node:path";
import decode, { init } from "npm:@jsquash/jpeg@1.6.0/decode.js";
import { packageFolder } from "../run/program_files.ts";
import { DataError } from "./dataset.ts";
import type { ImageView } from "./prepare_image.ts";
import { maxPixels } from "./png.ts";

/** Maximum number of scans in an image; the decoder reads each one to its end. Progressive files have about ten. */
const maxScans = 64;

/** The decoder, once it is loaded. */
let loaded: Promise<void> | undefined;
/** The first problem that the decoder states, even if it can go on. */
let problem: string | undefined;

interface Header {
  readonly height: number;
  readonly width: number;
  readonly components: number;
  /** How the camera was held: 1 upright, 2 to 8 turned or mirrored. */
  readonly orientation: number;
}

/**
 * Decodes a JPEG file, grey or in colour, upright as its Exif data says. Colour profiles are ignored.
 *
 * @param bytes the whole file
 * @param path its name, for messages
 * @throws {DataError} if the file is damaged or not JPEG, or the image is too large or in four inks
 */
export async function decodeJpeg(bytes: Uint8Array<ArrayBuffer>, path: string): Promise<ImageView> {
  const header = readHeader(bytes, path);
  loaded ??= load();
  await loaded;
  problem = undefined;
  const image = await decode(bytes.buffer).catch((error: unknown) => {
    problem ??= error instanceof Error ? error.message : String(error);
    loaded = undefined; // a failed decoder may be in any state
  });
  if (problem !== undefined || !image) {
    throw new DataError(
      `Cannot read ${path}: the file is damaged: ${problem} (expected a whole JPEG image); replace or remove it`,
    );
  }
  if (image.height !== header.height || image.width !== header.width) {
    throw new DataError(
      `Cannot read ${path}: its header declares ${header.height}x${header.width} pixels, but it has ` +
        `${image.height}x${image.width}; save it again`,
    );
  }
  return upright(image, header);
}

async function load(): Promise<void> {
  const folder = await packageFolder("npm:@jsquash/jpeg@1.6.0");
  const module = await WebAssembly.compile(await Deno.readFile(join(folder, "codec/dec/mozjpeg_dec.wasm")));
  const instantiateWasm = (imports: WebAssembly.Imports, use: (instance: WebAssembly.Instance) => void) => {
    const instance = new WebAssembly.Instance(module, imports);
    use(instance);
    return instance.exports;
  };
  await init({ instantiateWasm, printErr: (line: string) => problem ??= line });
}

/** Walks through all segments to the end of the file, as the decoder will. */
function readHeader(bytes: Uint8Array, path: string): Header {
  const fail = (what: string) => new DataError(`Cannot read ${path}: ${what}`);
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) {
    throw fail("it is damaged or not a JPEG file (expected JPEG, as its name says); save it again as JPEG");
  }
  const damaged = (what: string) =>
    fail(`the file is damaged: ${what} (expected a whole JPEG image); replace or remove it`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let size: Omit<Header, "orientation"> | undefined;
  let [orientation, scans, at] = [1, 0, 2];
  try {
    for (; view.getUint16(at) !== 0xffd9; at = scans > 0 ? nextMarker(bytes, at) : at) { // the end
      const marker = view.getUint8(at + 1);
      if (bytes[at] !== 0xff) throw new RangeError("no segment");
      if (marker === 0xff) { // padding
        at++;
        continue;
      }
      if (marker < 0xc0 || marker >= 0xd0 && marker <= 0xd8) {
        throw damaged(`it has the marker ff${marker.toString(16).padStart(2, "0")}`);
      }
      if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
        if (size) throw damaged("it has two frames");
        const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
        size = { height, width, components: view.getUint8(at + 9) };
      }
      if (marker === 0xe1) orientation = orientationIn(view, at + 4) ?? orientation;
      if (marker === 0xda && ++scans > maxScans) {
        throw new DataError(`Cannot use ${path}: it has more than ${maxScans} scans; save it again`);
      }
      at += 2 + view.getUint16(at + 2);
    }
  } catch (error) {
    if (error instanceof RangeError) throw damaged("the end is missing");
    throw error;
  }
  if (!size || scans === 0) throw damaged("the end is missing");
  const { height, width, components } = size;
  if (height * width < 1 || height * width > maxPixels) {
    throw fail(
      `its header declares ${height}x${width} pixels (expected 1 to ${maxPixels} of them); save it smaller`,
    );
  }
  if (components !== 1 && components !== 3) {
    throw fail(`it has ${components} channels (expected grey or red, green and blue); save it as RGB`);
  }
  return { ...size, orientation };
}

/** Position of the next marker: inside image data, FF is always followed by 00 or by D0 to D7. */
function nextMarker(bytes: Uint8Array, at: number): number {
  for (let next = bytes.indexOf(0xff, at); next >= 0; next = bytes.indexOf(0xff, next + 1)) {
    const marker = bytes[next + 1];
    if (marker !== 0 && marker !== 0xff && (marker < 0xd0 || marker > 0xd7)) return next;
  }
  return bytes.length; // reading there throws a RangeError
}

/** The orientation that Exif data states; undefined if it states none, or is damaged. */
function orientationIn(view: DataView, at: number): number | undefined {
  try {
    if (view.getUint32(at) !== 0x45786966) return undefined; // Exif
    const start = at + 6;
    const little = view.getUint16(start) === 0x4949;
    const list = start + view.getUint32(start + 4, little);
    for (let entry = 0; entry < view.getUint16(list, little); entry++) {
      const field = list + 2 + 12 * entry;
      if (view.getUint16(field, little) !== 0x0112) continue;
      const value = view.getUint16(field + 8, little);
      return value >= 1 && value <= 8 ? value : undefined;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
}

/** Turns and mirrors an image u8[H, W, 4], and keeps its one or three channels, u8[H, W, C]. */
function upright(
  { data, height: H, width: W }: ImageData,
  { orientation, components }: Header,
): ImageView {
  const channels = components === 1 ? 1 : 3;
  const [turned, mirrored, upside] = [
    orientation >= 5,
    [2, 3, 7, 8].includes(orientation),
    [3, 4, 6, 7].includes(orientation),
  ];
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
