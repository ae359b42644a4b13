/** Data sets in NumPy arrays: an .npz file, an .npy file with only images, or a folder of .npy files. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipReader } from "npm:@zip.js/zip.js@2.24.0";
import {
  DataError,
  type Dataset,
  firstIndices,
  type LabelledImages,
  listFolder,
  maxDataBytes,
  readDataFile,
  roomFor,
  shuffled,
  splitTest,
} from "./dataset.ts";
import { type ImagePreparation, type ImageView, maxPixels, prepareImage } from "./images.ts";

/** An array of numbers in row-major order, from a file of NumPy or another format. */
export interface NumberArray {
  /** Its file and name, for messages. */
  readonly title: string;
  readonly shape: readonly number[];
  /** Type of the values, such as `<f8` for little-endian f64. */
  readonly descr: string;
  /** Bytes of a value. */
  readonly width: number;
  /** The values, one after another. */
  readonly bytes: Uint8Array;
  /** The value with number i. */
  readonly valueAt: (i: number) => number;
}

/** The arrays of a data set: images, and labels if there are any. */
export interface DataParts {
  readonly images: NumberArray;
  readonly labels?: NumberArray | undefined;
  readonly testImages?: NumberArray | undefined;
  readonly testLabels?: NumberArray | undefined;
}

/** Names of the arrays of a data set, in upper or lower case; the first one present is used. */
const namesOf: Readonly<Record<keyof DataParts, readonly string[]>> = {
  images: ["images", "x_train", "train_images", "x", "data", "arr_0"],
  labels: ["labels", "y_train", "train_labels", "y", "target", "arr_1"],
  testImages: ["x_test", "test_images"],
  testLabels: ["y_test", "test_labels"],
};

/** Arrays by name in lower case; opening one unpacks it and reads its header. */
type Arrays = ReadonlyMap<string, () => Promise<NumberArray>>;

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
 */
export async function readArrays(
  path: string,
  preparation: ImagePreparation,
): Promise<Omit<Dataset, "name" | "source">> {
  const arrays: Arrays = oneArray.test(path)
    ? new Map([["images", () => readNpy(path)]])
    : isArrayFile(path)
    ? await arraysOfArchive(path)
    : await arraysOfFolder(path);
  const open = async (part: keyof DataParts) =>
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
  const testLabels = testImages && await open("testLabels");
  return datasetOfArrays({ images, labels: await open("labels"), testImages, testLabels }, preparation);
}

async function arraysOfFolder(folder: string): Promise<Arrays> {
  const names = (await listFolder(folder)).map(({ name }) => name).filter((name) => oneArray.test(name));
  return new Map(
    names.sort().map((name) =>
      [name.replace(oneArray, "").toLowerCase(), () => readNpy(join(folder, name))] as const
    ),
  );
}

/** The arrays of an .npz file, which is a ZIP archive of .npy files, packed or not. */
async function arraysOfArchive(path: string): Promise<Arrays> {
  const archive = await readDataFile(path, Deno.readFile, maxDataBytes);
  const reader = new ZipReader(new Uint8ArrayReader(archive), {
    useWebWorkers: false,
    checkCrc32: true,
    checkAmbiguity: true,
  });
  const entries = await reader.getEntries().catch((cause) => {
    throw new DataError(
      `Cannot read ${path}: it is damaged or not an archive of arrays (expected what numpy.savez() writes)`,
      { cause },
    );
  });
  return new Map(entries.map((entry) => {
    const title = `${entry.filename} in ${path}`;
    const open = async () => {
      try {
        const size = entry.uncompressedSize;
        if (entry.directory || size > maxDataBytes) throw new RangeError(`${size} bytes`);
        const bytes = await entry.getData(new Uint8ArrayWriter());
        if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes instead of ${size}`);
        return openNpy(bytes, title);
      } catch (error) {
        if (error instanceof DataError) throw error;
        throw new DataError(`Cannot unpack ${title}: it is damaged; save or download it again`, {
          cause: error,
        });
      }
    };
    return [entry.filename.replace(oneArray, "").toLowerCase(), open] as const;
  }));
}

async function readNpy(path: string): Promise<NumberArray> {
  return openNpy(await readDataFile(path, Deno.readFile, maxDataBytes), path);
}

/** How values are read, by kind and number of bytes. */
const readers = {
  ...{ b1: "getUint8", u1: "getUint8", u2: "getUint16", u4: "getUint32", u8: "getBigUint64" } as const,
  ...{ i1: "getInt8", i2: "getInt16", i4: "getInt32", i8: "getBigInt64" } as const,
  ...{ f2: "getFloat16", f4: "getFloat32", f8: "getFloat64" } as const,
};

/**
 * Opens an array in NumPy's format: a magic number, a header that reads like a Python dictionary, then the values.
 *
 * Source: NumPy Enhancement Proposal 1, and numpy/lib/format.py
 */
function openNpy(file: Uint8Array, title: string): NumberArray {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 12 || file.subarray(0, 6).toHex() !== "934e554d5059") {
    throw new DataError(
      `Cannot read ${title}: it is damaged or not a NumPy array (expected what numpy.save() writes)`,
    );
  }
  const [length, begin] = file[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const from = begin + length;
  const text = from > file.length ? "" : new TextDecoder().decode(file.subarray(begin, from));
  const shape = /'shape': *\(([\d, ]*)\)/.exec(text)?.[1].split(",").filter((word) => word.trim()).map(
    Number,
  );
  const order = /'fortran_order': *(True|False)/.exec(text)?.[1];
  if (!shape || !order || !shape.every(Number.isSafeInteger)) {
    throw new DataError(`Cannot read ${title}: its header is damaged (expected what numpy.save() writes)`);
  }
  const descr = /'descr': *'([^']*)'/.exec(text)?.[1] ?? "records";
  const kind = descr.slice(1);
  if (!Object.hasOwn(readers, kind)) {
    throw new DataError(
      `Cannot use ${title}: it holds ${descr} (expected numbers, such as |u1, <f4 or <f8); convert it with .astype("float32")`,
    );
  }
  if (order === "True") {
    throw new DataError(
      `Cannot use ${title}: it is in Fortran order (expected C order); save numpy.ascontiguousarray() of it`,
    );
  }
  const [width, little] = [Number(descr.slice(2)), descr[0] !== ">"];
  const end = from + shape.reduce((product, n) => product * n, width);
  if (file.length !== end) {
    throw new DataError(
      `Cannot read ${title}: it has ${file.length} bytes (expected ${end} for ${descr} ${
        formatShape(shape)
      }); save or download it again`,
    );
  }
  const read = readers[kind as keyof typeof readers];
  const valueAt = (i: number) => Number(view[read](from + i * width, little));
  return { title, shape, descr, width, bytes: file.subarray(from), valueAt };
}

/** A shape as text: `[1797, 8, 8]`. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/**
 * Makes a data set from its arrays.
 *
 * @param given which values are black and white, if that is known; else it follows from the values
 */
export function datasetOfArrays(
  { images, labels: labelArray, testImages, testLabels: testLabelArray }: DataParts,
  preparation: ImagePreparation,
  given?: Scale,
): Omit<Dataset, "name" | "source"> {
  const scale = given ?? scaleOf([images, ...testImages ? [testImages] : []]);
  const [train, test] = [images, testImages ?? images].map((array) =>
    preparedRows(array, scale, preparation)
  );
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
  const hash = createHash("sha256").update(`${images.descr} ${images.shape}`).update(images.bytes)
    .update(`${scale}`);
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
    train: train.part(split.train, labels),
    test: test.part(split.test, testImages ? testLabels : labels),
    ...testImages && { testNumbers: Uint32Array.from(split.test) },
    channels,
    height,
    width,
    classes: [...labels ?? [], ...testLabels ?? []].reduce((most, label) => Math.max(most, label + 1), 0),
    digest: hash.digest("hex"),
    ...labels && { labelDigest: createHash("sha256").update(labels).digest("hex") },
    ...`${scale}` !== "0,255" && { scale },
  };
}

/** Which values are black and white: 0 and 255, 0 and 1, -1 and 1, or else 0 and the largest. */
function scaleOf(arrays: readonly NumberArray[]): Scale {
  let [low, high] = [Infinity, -Infinity];
  for (const { title, descr, bytes, width, valueAt } of arrays) {
    const isBytes = descr === "|u1"; // fast, for large files
    for (let i = 0; i < bytes.length / width; i++) {
      const value = isBytes ? bytes[i] : valueAt(i);
      if (!Number.isFinite(value)) {
        throw new DataError(`Cannot use ${title}: value ${i} is ${value} (expected finite numbers)`);
      }
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low >= 0) return [0, high <= 1 ? 1 : high >= 128 && high <= 255 ? 255 : high];
  if (low >= -1 && high <= 1) return [-1, 1];
  throw new DataError(
    `Cannot use ${
      arrays[0].title
    }: its values are ${low} to ${high} (expected none below 0, or all from -1 to 1)`,
  );
}

/** The images of an array, and their shape [C, H, W] once prepared; `part` picks some in an order. */
function preparedRows(
  array: NumberArray,
  [black, white]: Scale,
  preparation: ImagePreparation,
) {
  const { count, ...view } = layoutOf(array);
  const size = view.channels * view.height * view.width;
  const isBytes = array.descr === "|u1" && black === 0 && white === 255;
  const isPrepared = isBytes && view.pixelStep === 1 && !preparation.resize && !preparation.channels;
  const read = (n: number) => {
    if (isBytes) {
      const bytes = array.bytes.subarray(n * size, (n + 1) * size);
      return isPrepared ? { ...view, planes: bytes } : prepareImage({ ...view, bytes }, preparation);
    }
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      bytes[i] = Math.round(255 * (array.valueAt(n * size + i) - black) / (white - black));
    }
    return prepareImage({ ...view, bytes }, preparation);
  };
  const { channels, height, width } = read(0);
  const part = (indices: ArrayLike<number>, labels: Uint8Array | undefined): LabelledImages => {
    const rows = Uint32Array.from(indices);
    const values = channels * height * width;
    const images = roomFor(rows.length, values, array.title);
    rows.forEach((n, place) => images.set(read(n).planes, place * values));
    return { images, count: rows.length, ...labels && { labels: Uint8Array.from(rows, (n) => labels[n]) } };
  };
  return { count, shape: [channels, height, width], part };
}

/** Images, channels and size of an array, and the position of a value in an image. */
function layoutOf({ title, shape }: NumberArray): Omit<ImageView, "bytes"> & { readonly count: number } {
  const [count, ...rest] = shape;
  const side = Math.round(Math.sqrt(rest[0]));
  const isColour = (axis: number) => rest.length === 3 && (rest[axis] === 1 || rest[axis] === 3);
  const isLast = isColour(2);
  const [channels, height, width] = rest.length === 1 && side * side === rest[0]
    ? [1, side, side]
    : rest.length === 2
    ? [1, ...rest]
    : isLast
    ? [rest[2], rest[0], rest[1]]
    : isColour(0)
    ? rest
    : [0, 0, 0];
  const pixels = height * width;
  if (channels > 0 && count > 0 && pixels > 0 && pixels <= maxPixels) {
    const steps = isLast ? { planeStep: 1, pixelStep: channels } : { planeStep: pixels, pixelStep: 1 };
    return { count, channels: channels as 1 | 3, height, width, ...steps };
  }
  throw new DataError(
    `Cannot use ${title}: it is ${formatShape(shape)} ` +
      `(expected images [N, H, W], [N, H, W, C], [N, C, H, W] with 1 or 3 channels, or [N, H * H], of 1 to ${maxPixels} pixels)`,
  );
}

/** The labels of images, u8[count]; undefined if there are none. */
function labelsOf(array: NumberArray | undefined, images: string, count: number): Uint8Array | undefined {
  if (!array) return undefined;
  const { title, shape, valueAt } = array;
  const size = shape.reduce((product, n) => product * n, 1);
  if (shape[0] !== count || size !== count) {
    throw new DataError(
      `Cannot use ${title}: it is ${
        formatShape(shape)
      } (expected [${count}], a whole number for each image of ${images})`,
    );
  }
  return Uint8Array.from({ length: count }, (_, n) => {
    const label = valueAt(n);
    if (Number.isInteger(label) && label >= 0 && label <= 255) return label;
    throw new DataError(`Cannot use ${title}: label ${n} is ${label} (expected whole numbers from 0 to 255)`);
  });
}
