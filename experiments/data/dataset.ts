import { UserError } from "../../kernels/core/checks.ts";
import { permutation, streams } from "../../models/mod.ts";
import { formatSize } from "../../viz/image/image_shape.ts";
import { ConfigError } from "../cli/settings.ts";
import { printable } from "../cli/output.ts";
import { reasonOf } from "../run/run_folder.ts";

/** A data set cannot be found or read; the message is one line for the user. */
export class DataError extends UserError {
  override name = "DataError";
}

/** Images u8[N, C, H, W] in row-major order, N = count, and labels u8[N] if there are classes. */
export interface LabelledImages {
  images: Uint8Array;
  labels?: Uint8Array;
  count: number;
}

/** A data set of images of one size; in each channel 0 is dark and 255 bright. */
export interface Dataset {
  /** `mnist`, `fashion-mnist`, or the name of the folder. */
  name: string;
  train: LabelledImages;
  /** In a random order that never changes, so that the first ones represent all. */
  test: LabelledImages;
  /** Number of each test image in its IDX file. */
  testNumbers?: Uint32Array;
  /** 1 for grey images, 3 for red, green and blue. */
  channels: number;
  height: number;
  width: number;
  /** Number of classes: labels are 0 to classes - 1. 0 without labels. */
  classes: number;
  /** Names of the classes by label, if they have any. */
  classNames?: readonly string[];
  /**
   * SHA-256 in hex of the unpacked IDX file of training images, of the names and bytes of all image files, or of the
   * values of an array; if images are prepared or a list names the test images, also of these settings.
   */
  digest: string;
  /** SHA-256 in hex of the labels; absent for image files, whose names give the classes. */
  labelDigest?: string;
  /** Values of an array that became black and white, if not 0 and 255. */
  scale?: readonly [black: number, white: number];
  /** Number of damaged image files that are left out. */
  damaged?: number;
  /** The folder, file or package of the images. */
  source: string;
}

/** Seed of orders and splits that are the same for every run. */
const sharedSeed = 0;
/** Share of each class held out as test images. */
const testShare = 0.1;

/** The numbers 0 to count - 1 in a random order that is the same for every run and task. */
export function shuffled(count: number): Uint32Array {
  return permutation(sharedSeed, streams.split, 0, count);
}

/**
 * Holds out a tenth of the images of each class as test images: at least one, unless the class has only one.
 *
 * @param labels of the images, all equal without classes
 * @returns indices in random order, the same for the same labels; the first ones of each part cover all classes
 */
export function splitTest(
  labels: readonly number[],
): { readonly train: readonly number[]; readonly test: readonly number[] } {
  const quotas = new Map(Array.from(Map.groupBy(labels, (label) => label), ([label, { length: size }]) => {
    return [label, size < 2 ? 0 : Math.max(1, Math.round(size * testShare))];
  }));
  const order = [...shuffled(labels.length)];
  // From the end, so that the rest still begins with random images.
  const test = order.toReversed().filter((image) => {
    const left = quotas.get(labels[image])!;
    quotas.set(labels[image], left - 1);
    return left > 0;
  });
  const held = new Set(test);
  return { train: order.filter((image) => !held.has(image)), test };
}

/** Indices of the images to learn from, and of those for validation. */
export interface ImageSplit {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * Splits the training images of a data set by the seed of a run.
 *
 * @param trainLimit largest number of images to learn from, 0 for all
 * @returns the validation images do not depend on the limit
 */
export function splitImages(
  count: number,
  { seed, valFraction, trainLimit, batchSize }: Readonly<
    Record<"seed" | "valFraction" | "trainLimit" | "batchSize", number>
  >,
): ImageSplit {
  const order = permutation(seed, streams.split, 0, count);
  const kept = count - Math.round(count * valFraction);
  const train = order.slice(0, trainLimit > 0 ? Math.min(trainLimit, kept) : kept);
  if (batchSize > train.length) {
    const flag = train.length > 0 ? "--batch-size" : "--val-fraction";
    throw new ConfigError(
      `Cannot take batches of ${batchSize} images from ${train.length} training images: use a smaller ${flag}`,
    );
  }
  return { train, validation: order.slice(kept) };
}

/**
 * An order in which the first images cover all classes, for taking a subset.
 *
 * @returns indices: {@linkcode shuffled} if the labels are sorted by class, else unchanged
 */
export function subsetOrder(
  { labels, count }: { readonly labels?: ArrayLike<number> | undefined; readonly count: number },
): Uint32Array {
  return labels && isSorted(labels, count) ? shuffled(count) : firstIndices(count);
}

/** The indices 0, 1, 2 and so on. */
export function firstIndices(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, n) => n);
}

/** Whether neighbours differ in class less than half as often as they would in a random order. */
function isSorted(labels: ArrayLike<number>, count: number): boolean {
  const sizes = new Map<number, number>();
  let changes = 0;
  for (let n = 0; n < count; n++) {
    sizes.set(labels[n], (sizes.get(labels[n]) ?? 0) + 1);
    if (n > 0 && labels[n] !== labels[n - 1]) changes++;
  }
  // At random, two images differ with probability 1 - sum of (size / count)^2, or slightly more without replacement.
  const differ = sizes.values().reduce((rest, size) => rest - (size / count) ** 2, 1);
  return changes < 0.5 * (count - 1) * differ;
}

const maxListed = 20;

/** Input of {@linkcode describeData}: a data set, or its counts from `run.json`. */
export type DataFacts =
  & Pick<Dataset, "name" | "channels" | "height" | "width" | "classes" | "scale">
  & {
    readonly classNames?: readonly string[] | undefined;
    readonly validation?: number;
    readonly damaged?: number | null | undefined;
  }
  & Readonly<Record<"train" | "test", number | { readonly count: number }>>;

/**
 * Describes a data set in one line: `birds: 900 training and 100 test images of 3 x 32 x 32, 2 classes: finch, owl`.
 * Control characters in names are escaped.
 */
export function describeData(
  { name, train, validation = 0, test, channels, height, width, classes, classNames = [], scale, damaged }:
    DataFacts,
): string {
  const shown = (part: DataFacts["train"]) =>
    (typeof part === "number" ? part : part.count).toLocaleString("en");
  const size = formatSize([channels, height, width]);
  const names = classNames.length > 0 && classNames.length <= maxListed ? `: ${classNames.join(", ")}` : "";
  const inClasses = classes > 0 ? `${classes} ${classes === 1 ? "class" : "classes"}${names}` : "no classes";
  const range = scale ? `; ${scale[0]} is black and ${scale[1]} white` : "";
  const left = damaged ? `; ${damaged} damaged ${damaged === 1 ? "image" : "images"} left out` : "";
  return printable(
    `${name}: ${shown(train)} training${validation > 0 ? `, ${shown(validation)} validation` : ""} and ${
      shown(test)
    } test images of ${size}, ${inClasses}${range}${left}`,
  );
}

/** Lists a folder of data; like files of data, it may lie anywhere, and links may lead anywhere. */
export async function listFolder(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    throw new DataError(`Cannot read the data folder ${folder}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Whether a path, or where its link leads, is a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}

/** Maximum bytes of a file of data, and of a data set in memory. */
export const maxDataBytes: number = 2 ** 32;

/**
 * Memory for images.
 *
 * @param size bytes of each
 * @param title of their file, for the message
 */
export function roomFor(count: number, size: number, title: string): Uint8Array<ArrayBuffer> {
  if (count * size <= maxDataBytes) return new Uint8Array(count * size);
  throw new DataError(
    `Cannot load ${count} images as large as ${title}: they are ${count * size} bytes ` +
      `(expected at most ${maxDataBytes}); use fewer images, or a smaller --resize H,W`,
  );
}

/**
 * Reads a regular file. Its kind and size are checked before it is opened, since opening a pipe would block.
 *
 * @param read opens and reads it
 */
export async function readDataFile<Content>(
  path: string,
  read: (path: string) => Promise<Content>,
  maxBytes = Infinity,
): Promise<Content> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) {
      throw new DataError(`Cannot read ${path}: it is a pipe, a device or a folder (expected a file)`);
    }
    if (size <= maxBytes) return await read(path);
    throw new DataError(
      `Cannot read ${path}: it has ${size} bytes (expected at most ${maxBytes}); save it smaller`,
    );
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}
