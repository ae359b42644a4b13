/** Data sets in NumPy arrays: an .npz file, an .npy file with only images, or a folder of .npy files. */

import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import {
  DataError,
  type Dataset,
  firstIndices,
  type LabelledImages,
  listFolder,
  readDataFile,
  shuffled,
  splitTest,
} from "./dataset.ts";
import { StoredImages } from "./images.ts";
import { type ByteRange, formatShape, type NumberArray, openNpy } from "./npy.ts";
import { listNpz } from "./npz.ts";
import { maxPixels } from "./png.ts";
import { type ImagePreparation, type ImageView, prepareImage } from "./prepare_image.ts";

/** Names of the arrays of a data set, in upper or lower case; the first one present is used. */
const namesOf = {
  images: ["images", "x_train", "train_images", "x", "data", "arr_0"],
  labels: ["labels", "y_train", "train_labels", "y", "target", "arr_1"],
  testImages: ["x_test", "test_images"],
  testLabels: ["y_test", "test_labels"],
} as const;

/** Maximum bytes of images kept in memory; of larger arrays, batches are read from the file when needed. */
const maxInMemory = 2 ** 30;
/** Maximum bytes of a file that is read whole, such as a compressed archive. */
const maxPacked = 2 ** 32;
/** Bytes that are scanned at a time. */
const pieceBytes = 2 ** 20;

/** Arrays by name in lower case; opening one reads its header. */
type Arrays = ReadonlyMap<string, () => NumberArray | Promise<NumberArray>>;

/** Values that become black and white. */
type Scale = readonly [black: number, white: number];

/** Extension of a file with one array. */
const oneArray = /\.npy$/i;

/** Whether a file has the extension of arrays. */
export function isArrayFile(path: string): boolean {
  return /\.np[yz]$/i.test(path);
}

/** Whether a folder has .npy files. */
export async function holdsArrays(folder: string): Promise<boolean> {
  return (await listFolder(folder)).some(({ name }) => oneArray.test(name));
}

/**
 * Reads a data set from arrays: images, and labels if there are any. The test images are `x_test`, or else a tenth of
 * each class, always the same ones.
 *
 * @param path an .npz file, an .npy file, or a folder of .npy files
 * @param most bytes of images to keep in memory
 * @throws {DataError} if an array is missing, damaged or of the wrong kind
 */
export async function readArrays(
  path: string,
  preparation: ImagePreparation,
  most: number = maxInMemory,
): Promise<Omit<Dataset, "name" | "source">> {
  const arrays = isArrayFile(path) ? await arraysOfFile(path) : await arraysOfFolder(path);
  const open = async (part: keyof typeof namesOf) =>
    await namesOf[part].map((name) => arrays.get(name)).find((array) => array)?.();
  const [images, testImages] = [await open("images"), await open("testImages")];
  if (!images) {
    const held = [...arrays.keys()].slice(0, 8).join(", ") || "no arrays";
    throw new DataError(
      `Cannot find images in ${path}: it holds ${held} (expected an array named ${
        namesOf.images.join(", ")
      })`,
    );
  }
  const labels = await open("labels");
  return datasetOfArrays(
    { images, labels, testImages, testLabels: testImages && await open("testLabels") },
    preparation,
    { most },
  );
}

/** The arrays of a data set: images, and labels if there are any. */
export interface DataParts {
  readonly images: NumberArray;
  readonly labels?: NumberArray | undefined;
  readonly testImages?: NumberArray | undefined;
  readonly testLabels?: NumberArray | undefined;
}

/**
 * Makes a data set from its arrays.
 *
 * @param most bytes of images to keep in memory
 * @param scale which values are black and white, if that is known; else it follows from the values
 * @throws {DataError} if the arrays do not belong together, or hold anything but images and labels
 */
export function datasetOfArrays(
  { images, labels: labelArray, testImages, testLabels: testLabelArray }: DataParts,
  preparation: ImagePreparation,
  { most = maxInMemory, scale: given }: { readonly most?: number; readonly scale?: Scale } = {},
): Omit<Dataset, "name" | "source"> {
  const hash = createHash("sha256").update(`${images.descr} ${images.shape}`);
  const scale = given ??
    scaleOf([rangeOf(images, hash), ...testImages ? [rangeOf(testImages)] : []], images.title);
  hash.update(`${scale}`);
  const [train, test] = [images, testImages ?? images].map((array) => rowReader(array, scale, preparation));
  if (`${test.shape}` !== `${train.shape}`) {
    throw new DataError(
      `Cannot use ${testImages!.title}: its images are ${formatShape(test.shape)} ` +
        `(expected ${formatShape(train.shape)} as in ${images.title}); pass --resize H,W and --channels`,
    );
  }
  const labels = labelsOf(labelArray, images.title, train.count);
  const testLabels = testImages && labelsOf(testLabelArray, testImages.title, test.count);
  if (testImages && (labels === undefined) !== (testLabels === undefined)) {
    throw new DataError(
      `Cannot use ${images.title} with ${testImages.title}: there are labels for ${
        labels ? images.title : testImages.title
      } only (expected labels for both)`,
    );
  }
  if (!testImages && labels) hash.update(labels); // the split depends on them
  const split = testImages
    ? { train: firstIndices(train.count), test: shuffled(test.count) }
    : splitTest([...labels ?? new Uint8Array(train.count)]);
  if (split.test.length === 0) {
    throw new DataError(
      `Cannot split ${images.title}: it holds one image (expected at least two, one for the test)`,
    );
  }
  const [channels, height, width] = train.shape;
  return {
    train: stored(train, split.train, labels, most),
    test: stored(test, split.test, testImages ? testLabels : labels, most),
    ...testImages && { testNumbers: Uint32Array.from(split.test) },
    ...{ channels, height, width },
    classes: [...labels ?? [], ...testLabels ?? []].reduce((most, label) => Math.max(most, label + 1), 0),
    digest: hash.digest("hex"),
    ...labels && { labelDigest: createHash("sha256").update(labels).digest("hex") },
    ...`${scale}` !== "0,255" && { scale },
  };
}

async function arraysOfFolder(folder: string): Promise<Arrays> {
  const arrays = new Map<string, () => NumberArray>();
  for (const { name } of (await listFolder(folder)).toSorted((a, b) => a.name < b.name ? -1 : 1)) {
    if (!oneArray.test(name)) continue;
    const path = join(folder, name);
    const bytes = await fileRange(path);
    arrays.set(name.replace(oneArray, "").toLowerCase(), () => openNpy(bytes, path));
  }
  return arrays;
}

async function arraysOfFile(path: string): Promise<Arrays> {
  const bytes = await fileRange(path);
  if (oneArray.test(path)) return new Map([["images", () => openNpy(bytes, path)]]);
  const members = [...await listNpz(bytes, path)];
  return new Map(
    members.map((
      [name, unpack],
    ) => [name.toLowerCase(), async () => openNpy(await unpack(), `${name} in ${path}`)]),
  );
}

/** The bytes of a file, which is opened for each read. */
async function fileRange(path: string): Promise<ByteRange> {
  const { size } = await readDataFile(path, (path) => Deno.stat(path));
  const read = (at: number, length: number) => {
    if (length > maxPacked) {
      throw new DataError(
        `Cannot read ${length} bytes of ${path} at once (expected at most ${maxPacked})`,
      );
    }
    using file = Deno.openSync(path);
    file.seekSync(at, Deno.SeekMode.Start);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const more = file.readSync(bytes.subarray(done));
      if (more === null) throw new DataError(`Cannot read ${path}: it became shorter; run the task again`);
      done += more;
    }
    return bytes;
  };
  return { size, place: { path, at: 0 }, read };
}

/** Images, channels and size of an array, and the position of a value in an image. */
function layoutOf({ title, shape }: NumberArray): Omit<ImageView, "bytes"> & { readonly count: number } {
  const [count, ...rest] = shape;
  const side = Math.round(Math.sqrt(rest[0]));
  const asImages = ([channels, height, width]: readonly number[], isPlanar: boolean) => ({
    ...{ count, channels: channels as 1 | 3, height, width },
    ...isPlanar ? { planeStep: height * width, pixelStep: 1 } : { planeStep: 1, pixelStep: channels },
  });
  const isColour = (channels: number) => channels === 1 || channels === 3;
  const layout = rest.length === 1 && side * side === rest[0]
    ? asImages([1, side, side], true)
    : rest.length === 2
    ? asImages([1, ...rest], true)
    : rest.length === 3 && isColour(rest[2])
    ? asImages([rest[2], rest[0], rest[1]], false)
    : rest.length === 3 && isColour(rest[0])
    ? asImages(rest, true)
    : undefined;
  const pixels = layout ? layout.height * layout.width : 0;
  if (layout && count > 0 && pixels > 0 && pixels <= maxPixels) return layout;
  throw new DataError(
    `Cannot use ${title}: it is ${formatShape(shape)} ` +
      `(expected images [N, H, W], [N, H, W, C], [N, C, H, W] with 1 or 3 channels, or [N, H * H], of 1 to ${maxPixels} pixels)`,
  );
}

/**
 * The smallest and largest value of an array.
 *
 * @param hash gets its bytes
 * @throws {DataError} if a value is not finite
 */
function rangeOf(
  { title, descr, bytes, width, valueAt }: NumberArray,
  hash?: Hash,
): readonly [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (let from = 0; from < bytes.size; from += pieceBytes) {
    const piece = bytes.read(from, Math.min(pieceBytes, bytes.size - from));
    hash?.update(piece);
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    const isBytes = descr === "|u1"; // fast, for large files
    for (let at = 0; at < piece.length; at += width) {
      const value = isBytes ? piece[at] : valueAt(view, at);
      if (!Number.isFinite(value)) {
        const place = (from + at) / width;
        throw new DataError(`Cannot use ${title}: value ${place} is ${value} (expected finite numbers)`);
      }
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}

/** Which values are black and white: 0 and 255, 0 and 1, -1 and 1, or else 0 and the largest. */
function scaleOf(ranges: readonly (readonly [low: number, high: number])[], title: string): Scale {
  const low = Math.min(...ranges.map(([low]) => low));
  const high = Math.max(...ranges.map(([, high]) => high));
  if (low >= 0) return [0, high <= 1 ? 1 : high >= 128 && high <= 255 ? 255 : high];
  if (low >= -1 && high <= 1) return [-1, 1];
  throw new DataError(
    `Cannot use ${title}: its values are ${low} to ${high} (expected none below 0, or all from -1 to 1)`,
  );
}

/** Reads images of an array as bytes. */
interface RowReader {
  readonly count: number;
  /** [C, H, W] of a prepared image. */
  readonly shape: readonly [channels: number, height: number, width: number];
  readonly readRow: StoredImages["readRow"];
  /** Where the rows are in a file, and bytes of each; undefined in memory. */
  readonly stored: StoredImages["stored"];
  /** Reads many rows, from the first to the last. */
  readonly readAll: (rows: Uint32Array, into: Uint8Array) => void;
}

/** Reads ahead in larger pieces, for reading from start to end. */
function buffered({ size, read }: ByteRange): ByteRange {
  let [from, piece] = [0, new Uint8Array()];
  return {
    size,
    read(at, length) {
      if (at < from || at + length > from + piece.length) {
        [from, piece] = [at, read(at, Math.min(Math.max(length, pieceBytes), size - at)) as typeof piece];
      }
      return piece.subarray(at - from, at - from + length);
    },
  };
}

function rowReader(array: NumberArray, [black, white]: Scale, preparation: ImagePreparation): RowReader {
  const { count, ...view } = layoutOf(array);
  const size = view.channels * view.height * view.width;
  const isBytes = array.descr === "|u1" && black === 0 && white === 255;
  const isPrepared = isBytes && view.pixelStep === 1 && !preparation.resize && !preparation.channels;
  const read = (row: number, from = array.bytes) => {
    const stored = from.read(row * size * array.width, size * array.width);
    if (isPrepared) return { ...view, planes: stored }; // fast, for large files
    if (isBytes) return prepareImage({ ...view, bytes: stored }, preparation);
    const values = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      bytes[i] = Math.round(255 * (array.valueAt(values, i * array.width) - black) / (white - black));
    }
    return prepareImage({ ...view, bytes }, preparation);
  };
  const { channels, height, width } = read(0);
  return {
    count,
    shape: [channels, height, width],
    readRow: (row, into, at) => into.set(read(row).planes, at),
    stored: array.bytes.place && { ...array.bytes.place, rowBytes: size * array.width },
    readAll(rows, into) {
      const { place } = array.bytes; // undefined in memory
      const ahead = place ? buffered(array.bytes) : array.bytes;
      const order = firstIndices(rows.length);
      if (place) order.sort((a, b) => rows[a] - rows[b]);
      for (const n of order) into.set(read(rows[n], ahead).planes, n * into.length / rows.length);
    },
  };
}

/** The labels of images, u8[count]; undefined if there are none. */
function labelsOf(array: NumberArray | undefined, images: string, count: number): Uint8Array | undefined {
  if (!array) return undefined;
  const { title, shape, bytes, width, valueAt } = array;
  const size = shape.reduce((product, n) => product * n, 1);
  if (shape[0] !== count || size !== count) {
    throw new DataError(
      `Cannot use ${title}: it is ${
        formatShape(shape)
      } (expected [${count}], a whole number for each image of ${images})`,
    );
  }
  const stored = bytes.read(0, bytes.size);
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  return Uint8Array.from({ length: count }, (_, n) => {
    const label = valueAt(view, n * width);
    if (Number.isInteger(label) && label >= 0 && label <= 255) return label;
    throw new DataError(`Cannot use ${title}: label ${n} is ${label} (expected whole numbers from 0 to 255)`);
  });
}

/** A subset of the images, in memory if they fit. */
function stored(
  { shape, readRow, readAll, stored: place }: RowReader,
  indices: ArrayLike<number>,
  labels: Uint8Array | undefined,
  most: number,
): LabelledImages {
  const rows = Uint32Array.from(indices);
  const [count, size] = [rows.length, shape.reduce((product, n) => product * n, 1)];
  const chosen = labels && { labels: Uint8Array.from(rows, (row) => labels[row]) };
  if (count * size > most) return { images: new StoredImages(rows, size, readRow, place), count, ...chosen };
  const images = new Uint8Array(count * size);
  readAll(rows, images);
  return { images, count, ...chosen };
}
