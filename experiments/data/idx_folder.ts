/** The IDX files of a data set in a folder, gzipped or not: images, and labels if there are any. */

import { join } from "node:path";
import { sha256 } from "../run/contained.ts";
import {
  DataError,
  type Dataset,
  type LabelledImages,
  listFolder,
  readDataFile,
  shuffled,
} from "./dataset.ts";
import { rowsOf } from "./images.ts";
import { type IdxImages, parseImages, parseLabels, readIdx } from "./idx.ts";

/** File names of an IDX data set; images with channels may say idx4 instead. */
export const IDX_NAMES = {
  trainImages: "train-images-idx3-ubyte",
  trainLabels: "train-labels-idx1-ubyte",
  testImages: "t10k-images-idx3-ubyte",
  testLabels: "t10k-labels-idx1-ubyte",
};

/** A file and its content, unpacked. */
export interface IdxFile {
  path: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The files of a data set; without classes it has no labels. */
export type IdxFiles =
  & Record<"trainImages" | "testImages", IdxFile>
  & Partial<Record<"trainLabels" | "testLabels", IdxFile>>;

/**
 * Whether a folder holds an IDX file; if so, other files there are ignored.
 *
 * @throws {DataError} if the folder cannot be read
 */
export async function hasIdxFiles(folder: string): Promise<boolean> {
  return (await findFiles(folder)).some(({ spelling }) => spelling !== undefined);
}

/**
 * Reads the files from a folder; each may end in `.gz`, and may be spelled `train-images.idx3-ubyte` or, with channels,
 * `train-images-idx4-ubyte`.
 *
 * @returns the unpacked files, with labels for both parts or for none
 * @throws {DataError} if the folder or a file is missing, cannot be read, or has the wrong content
 */
export async function readIdxFolder(folder: string): Promise<IdxFiles> {
  const all = await findFiles(folder);
  const isLabels = ({ part }: typeof all[number]) => part.endsWith("Labels");
  const labelled = all.some((file) => isLabels(file) && file.spelling !== undefined);
  const files = all.filter((file) => labelled || !isLabels(file));
  const missing = files.filter(({ spelling }) => spelling === undefined);
  if (missing.length > 0) {
    throw new DataError(
      `Cannot find ${missing.map(({ name }) => name).join(", ")} in ${folder} ` +
        `(expected as ${spellings(missing[0].name).join(", ")})`,
    );
  }
  const contents = files.map(async ({ part, spelling }) => [part, await readFile(join(folder, spelling!))]);
  return Object.fromEntries(await Promise.all(contents));
}

/** The files by part; `spelling` is undefined for a missing one. */
async function findFiles(folder: string) {
  const present = new Set((await listFolder(folder)).map(({ name }) => name));
  return Object.entries(IDX_NAMES).map(([part, name]) => {
    return { part, name, spelling: spellings(name).find((spelling) => present.has(spelling)) };
  });
}

/** Possible spellings of a file name; the first that exists is taken. */
function spellings(name: string): string[] {
  const dotted = name.replace("-idx", ".idx");
  const usual = [name, `${name}.gz`, dotted, `${dotted}.gz`];
  const withChannels = usual.filter((name) => name.includes("idx3")).map((name) =>
    name.replace("idx3", "idx4")
  );
  return [...usual, ...withChannels];
}

async function readFile(path: string): Promise<IdxFile> {
  const bytes = await readDataFile(path, async () => {
    const { readable } = await Deno.open(path);
    if (!path.endsWith(".gz")) return await readIdx(readable, path);
    return await readIdx(readable.pipeThrough(new DecompressionStream("gzip")), path).catch((error) => {
      if (error instanceof DataError) throw error;
      throw new DataError(
        `Cannot unpack ${path}: it is damaged or no gzip file; download it again, or remove .gz from its name`,
      );
    });
  });
  return { path, bytes };
}

/**
 * Makes a data set from its files. Training images keep their order, since runs refer to them by number; test images
 * are shuffled.
 *
 * @throws {DataError} if a file is not an IDX file of its kind, or the files do not belong together
 */
export async function datasetOfFiles(files: IdxFiles): Promise<Omit<Dataset, "name" | "source">> {
  const { images, labels, count, channels, height, width } = pair(files.trainImages, files.trainLabels);
  const test = pair(files.testImages, files.testLabels);
  const [size, testSize] = [sizeOf({ channels, height, width }), sizeOf(test)];
  if (testSize !== size) {
    throw new DataError(
      `Cannot use ${files.testImages.path}: its images are ${testSize} ` +
        `(expected ${size} as in ${files.trainImages.path})`,
    );
  }
  const testNumbers = shuffled(test.count);
  return {
    train: { images, ...labels && { labels }, count },
    test: reordered(test, testNumbers),
    testNumbers,
    channels,
    height,
    width,
    classes: Math.max(classesOf(labels), classesOf(test.labels)),
    digest: await sha256(files.trainImages.bytes),
    ...files.trainLabels && { labelDigest: await sha256(files.trainLabels.bytes) },
  };
}

function pair(imagesFile: IdxFile, labelsFile: IdxFile | undefined): IdxImages & LabelledImages {
  const images = parseImages(imagesFile.bytes, imagesFile.path);
  if (!labelsFile) return images;
  const labels = parseLabels(labelsFile.bytes, labelsFile.path);
  if (labels.length !== images.count) {
    throw new DataError(
      `Cannot use ${labelsFile.path}: it holds ${labels.length} labels ` +
        `(expected ${images.count}, one for each image in ${imagesFile.path})`,
    );
  }
  return { ...images, labels };
}

function reordered({ images, labels, count }: LabelledImages, order: Uint32Array): LabelledImages {
  return {
    images: rowsOf(images, order, images.length / count),
    ...labels && { labels: Uint8Array.from(order, (n) => labels[n]) },
    count,
  };
}

/** Size as text, such as `28x28` or `32x32 with 3 channels`. */
function sizeOf({ channels, height, width }: Pick<IdxImages, "channels" | "height" | "width">): string {
  return `${height}x${width}${channels === 1 ? "" : ` with ${channels} channels`}`;
}

function classesOf(labels: Uint8Array = new Uint8Array()): number {
  return labels.reduce((most, label) => Math.max(most, label + 1), 0);
}
