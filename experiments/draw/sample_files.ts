import { join } from "node:path";
import { Zip, ZipPassThrough } from "npm:fflate@0.8.3";
import {
  captionedGrid,
  encodePng,
  encodeRasterPng,
  imageGrid,
  type ImageSize,
  rasterizer,
} from "../../viz/mod.ts";
import {
  checkEmptyFolder,
  checkFolderOf,
  reasonOf,
  RunError,
  writeAtomic,
  writeAtomicParts,
} from "../run/run_folder.ts";
import { ConfigError } from "../cli/settings.ts";
import { className, type NetworkClasses } from "./conditioning.ts";
import { samplesPng } from "./pictures.ts";
import {
  checkGrid,
  type Drawable,
  drawBatches,
  type OnSamples,
  type SampleRequest,
  solvingError,
} from "./samples.ts";
import type { SolvedFlow, SolverOptions } from "../../models/mod.ts";
import { costOf, type SolvedBatch } from "../../models/solve/sample.ts";

/** Images to write, batch by batch. */
interface DrawnImages {
  readonly count: number;
  /** [C, H, W] of an image. */
  readonly shape: ImageSize;
  /** The class of each image; undefined without classes. */
  readonly labels: Uint32Array | undefined;
  readonly classes: NetworkClasses;
  /** Columns of a grid, 0 for a nearly square one. */
  readonly columns: number;
  /** Pixels in order, 0 black to 1 white, f32[N, C, H, W] each. */
  readonly batches: AsyncIterable<Float32Array>;
}

/** Most images of a picture with captions. */
const maxCaptioned = 400;

/** Maximum bytes of the arrays in a ZIP archive without 64-bit sizes. */
const maxBytes = 2 ** 32 - 2 ** 16;

/** Checks, before a network is loaded, that a file or an empty folder can be written. */
export async function checkPath(path: string): Promise<void> {
  await (path.endsWith("/") ? checkEmptyFolder(path) : checkFolderOf(path));
}

/** Checks, before images are drawn, that a file of the path's format holds them. */
export function checkFormat(path: string, count: number, shape: ImageSize): void {
  if (path.endsWith(".png")) checkGrid(count, shape);
  if (path.endsWith("/")) checkGrid(1, shape);
  const bytes = count * (sizeOf(shape) + 8);
  if (!path.endsWith(".npz") || bytes < maxBytes) return;
  throw new ConfigError(
    `Cannot use --out ${path}: ${count} images take ${(bytes / 2 ** 30).toFixed(1)} GiB ` +
      "(expected less than 4 GiB, or a folder, --out FOLDER/)",
  );
}

/** Images to draw into a file or folder. */
interface DrawnInto
  extends Pick<DrawnImages, "classes" | "columns">, Pick<SampleRequest, "count" | "seed" | "conditioning"> {
  readonly how: SolverOptions;
  /** Name of the network's file, for errors. */
  readonly source: string;
}

/**
 * Draws images, and writes them while it draws the next ones; see {@linkcode writeSamples}.
 *
 * @param onDrawn called with the number of images drawn
 * @param onWritten called with the number of images in the folder
 * @returns the cost of the images
 */
export async function drawIntoFile(
  path: string,
  drawable: Drawable,
  { count, seed, conditioning, classes, columns, how, source }: DrawnInto,
  onDrawn: OnSamples,
  onWritten: (images: number) => void,
): Promise<Omit<SolvedFlow, "samples">> {
  const { shape } = drawable;
  const drawing = drawBatches(drawable, { count, seed, conditioning, ...how }, onDrawn);
  const costs: Omit<SolvedBatch, "samples">[] = [];
  async function* batches() {
    try {
      for await (const { samples, ...cost } of drawing) {
        costs.push(cost);
        yield samples;
      }
    } catch (error) {
      throw solvingError(error, source);
    }
  }
  const images = { count, shape, labels: conditioning?.labels, classes, columns, batches: batches() };
  await writeSamples(path, images, onWritten);
  return costOf(costs);
}

/**
 * Writes images in the format of the path's ending: `/`, one picture per image in class folders; `.npz`, as programs
 * for FID read them; `.npy`, their values; else one picture. A file appears once it is complete; a folder fills up
 * gradually.
 *
 * @param onWritten called with the number of images in the folder
 * @throws what the batches throw
 */
export async function writeSamples(
  path: string,
  images: DrawnImages,
  onWritten: (images: number) => void,
): Promise<void> {
  const { count, shape, batches } = images;
  if (path.endsWith("/")) await fillFolder(path, images, onWritten);
  else if (path.endsWith(".npz")) await writeAtomicParts(path, archive(images));
  else if (path.endsWith(".npy")) await writeAtomicParts(path, array(images));
  else {
    const pixels = new Float32Array(count * sizeOf(shape));
    let filled = 0;
    for await (const batch of batches) {
      pixels.set(batch, filled);
      filled += batch.length;
    }
    await writeAtomic(path, await samplesSheet(pixels, images));
  }
}

/** A PNG of samples, with the names of classes above the columns if each has one. */
async function samplesSheet(
  pixels: Float32Array,
  { count, shape, columns, labels, classes }: DrawnImages,
): Promise<Uint8Array> {
  const isSorted = columns > 0 && count % columns === 0 &&
    labels?.every((label, i) => label === labels[i % columns]);
  if (!isSorted || count > maxCaptioned) return samplesPng(pixels, count, shape, columns);
  const size = sizeOf(shape);
  const each = Array.from({ length: count }, (_, n) => pixels.subarray(n * size, (n + 1) * size));
  const captions = {
    columns: Array.from(labels!.subarray(0, columns), (label) => className(label, classes.names)),
  };
  const svg = captionedGrid(each, [count / columns, columns], shape, { captions });
  return encodeRasterPng((await rasterizer())(svg));
}

/**
 * The header of an .npy file of NumPy, version 1.0, for a dtype such as `<f4`; data is aligned to 64 bytes.
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
function npyHeader(type: string, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const start = Math.ceil((10 + header.length + 1) / 64) * 64;
  const bytes = new Uint8Array(start);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]); // \x93NUMPY, version 1.0
  new DataView(bytes.buffer).setUint16(8, start - 10, true);
  bytes.set(new TextEncoder().encode(header.padEnd(start - 11) + "\n"), 10);
  return bytes;
}

/** The bytes of an .npy file, f32[N, C, H, W]. */
async function* array({ count, shape, batches }: DrawnImages) {
  yield npyHeader("<f4", [count, ...shape]);
  for await (const { buffer, byteOffset, byteLength } of batches) {
    yield new Uint8Array(buffer, byteOffset, byteLength);
  }
}

/**
 * The bytes of an uncompressed archive of .npy files, as `numpy.savez()` writes it: `arr_0` u8[N, H, W, C], and
 * `arr_1`, the classes, i64[N].
 */
async function* archive({ count, shape: [C, H, W], labels, batches }: DrawnImages) {
  const ready: Uint8Array[] = [];
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    ready.push(chunk);
  });
  const begin = (name: string, type: string, shape: readonly number[]) => {
    const file = new ZipPassThrough(`${name}.npy`);
    file.mtime = new Date(1980, 0, 1); // the earliest time of ZIP: equal samples give equal bytes
    zip.add(file);
    file.push(npyHeader(type, shape));
    return file;
  };
  const images = begin("arr_0", "|u1", [count, H, W, C]);
  for await (const pixels of batches) {
    images.push(channelsLast(pixels, [C, H, W]));
    yield* ready.splice(0);
  }
  images.push(new Uint8Array(), true);
  if (labels) {
    const values = BigInt64Array.from(labels, BigInt);
    begin("arr_1", "<i8", [count]).push(new Uint8Array(values.buffer), true);
  }
  zip.end();
  yield* ready.splice(0);
}

/** f32[N, C, H, W] from 0 to 1 as u8[N, H, W, C]. */
function channelsLast(pixels: Float32Array, shape: ImageSize): Uint8Array {
  const [C, size] = [shape[0], sizeOf(shape)];
  const plane = size / C;
  const bytes = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const [image, within] = [Math.floor(i / size), i % size];
    const at = image * size + within % plane * C + Math.floor(within / plane);
    bytes[at] = Math.round(255 * Math.min(1, Math.max(0, pixels[i])));
  }
  return bytes;
}

/** Writes `000000.png` and so on, in a folder for each class, or without classes in the folder itself. */
async function fillFolder(
  folder: string,
  { count, shape, labels, classes, batches }: DrawnImages,
  onWritten: (images: number) => void,
): Promise<void> {
  const digits = Math.max(6, `${count - 1}`.length);
  const made = new Set<string>();
  let written = 0;
  for await (const pixels of batches) {
    for (let at = 0; at < pixels.length; at += sizeOf(shape)) {
      const image = pixels.subarray(at, at + sizeOf(shape));
      const place = labels ? join(folder, folderName(labels[written], classes)) : folder;
      const path = join(place, `${`${written}`.padStart(digits, "0")}.png`);
      try {
        if (!made.has(place)) await Deno.mkdir(place, { recursive: true });
        made.add(place);
        await Deno.writeFile(path, encodePng(imageGrid(image, [1, ...shape])), { createNew: true });
      } catch (error) {
        // Another program's file stays; ours may be incomplete.
        if (!(error instanceof Deno.errors.AlreadyExists)) await Deno.remove(path).catch(() => {});
        throw new RunError(`Cannot write ${path}: ${reasonOf(error)}; ${written} images are complete`);
      }
      written++;
    }
    onWritten(written);
  }
}

/**
 * The name of a class if it can name a folder, else its number. Names come from run folders, which may come from
 * anyone.
 */
function folderName(label: number, { names }: NetworkClasses): string {
  const name = className(label, names);
  return /^(?!\.)[^/\\:\p{Cc}]{1,100}$/u.test(name) ? name : `${label}`;
}

function sizeOf([C, H, W]: ImageSize): number {
  return C * H * W;
}
