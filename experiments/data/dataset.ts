/** Data sets of small images, with labels or without: MNIST and others by name, a folder of PNG images or of IDX files. */

import { basename, resolve } from "node:path";
import { anyOf } from "../settings/kinds.ts";
import { DataError, type Images, parseImages, parseLabels } from "./idx.ts";
import { hasIdxFiles, type IdxFile, type IdxFiles, readIdxFolder } from "./idx_folder.ts";
import type { Dataset, LabelledImages } from "./labelled_images.ts";
import { checkFingerprint, sha256 } from "./mnist.ts";
import { isNamed, namedData } from "./named_data.ts";
import { type OnRead, readPictures } from "./read_pictures.ts";
import { shuffled } from "./test_split.ts";

export { DataError, type Dataset, type LabelledImages };

/**
 * Loads a data set.
 *
 * @param source a folder of PNG images or with IDX files, gzipped or not, else the name of a data set; a folder of that
 * name goes before it. Without one it is MNIST, whatever folders there are
 * @param onRead called while many files are read
 * @throws {DataError} if files are missing or damaged, do not belong together, or hold other than one or three channels
 */
export async function loadDataset(source?: string, onRead?: OnRead): Promise<Dataset> {
  if (source === undefined) return await loadNamed("mnist");
  if (isNamed(source) && !await isFolder(source)) return await loadNamed(source);
  await checkThere(source);
  const name = basename(resolve(source));
  if (await hasIdxFiles(source)) return await toDataset(name, source, await readIdxFolder(source));
  return { name, ...await readPictures(source, onRead), source };
}

async function loadNamed(name: keyof typeof namedData): Promise<Dataset> {
  const { source, folder, fingerprints, classNames } = namedData[name];
  const files = await readIdxFolder(await folder());
  if (fingerprints) {
    await Promise.all(
      Object.entries(files).map(([part, file]) =>
        checkFingerprint(file, fingerprints[part as keyof IdxFiles])
      ),
    );
  }
  return { ...await toDataset(name, source, files), ...classNames && { classNames } };
}

/** Refuses a folder that does not exist, which may be meant as a name. */
async function checkThere(source: string): Promise<void> {
  try {
    await Deno.stat(source);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return; // whoever reads it says why
    const names = anyOf(Object.keys(namedData));
    throw new DataError(
      `Cannot read the data folder ${source}: it does not exist (expected a folder of PNG images or IDX files, or ${names})`,
    );
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}

async function toDataset(name: string, source: string, files: IdxFiles): Promise<Dataset> {
  const train = pair(files.trainImages, files.trainLabels);
  const test = pair(files.testImages, files.testLabels);
  if (sizeOf(test) !== sizeOf(train)) {
    throw new DataError(
      `Cannot use ${files.testImages.path}: its images are ${sizeOf(test)} ` +
        `(expected ${sizeOf(train)} as in ${files.trainImages.path}); take all files from one data set`,
    );
  }
  const { channels, height, width } = train;
  return {
    name,
    train: labelled(train),
    ...inRandomOrder(labelled(test)),
    channels,
    height,
    width,
    classes: Math.max(classesOf(train), classesOf(test)),
    digest: await sha256(files.trainImages.bytes),
    ...files.trainLabels && { labelDigest: await sha256(files.trainLabels.bytes) },
    source,
  };
}

/** e.g. `28x28`, or `32x32 with 3 channels`. */
function sizeOf({ channels, height, width }: Images): string {
  return `${height}x${width}${channels === 1 ? "" : ` with ${channels} channels`}`;
}

function labelled({ images, labels, count }: LabelledImages): LabelledImages {
  return { images, ...labels && { labels }, count };
}

/**
 * The test images in an order in which the first ones can stand for all, always the same. Training images stand as in the
 * file: runs go by their numbers.
 */
function inRandomOrder(
  { images, labels, count }: LabelledImages,
): Pick<Dataset, "test" | "testOrder" | "testNumbers"> {
  const testNumbers = shuffled(count);
  const size = images.length / count;
  const mixed = new Uint8Array(images.length);
  testNumbers.forEach((n, index) => mixed.set(images.subarray(n * size, (n + 1) * size), index * size));
  return {
    test: { images: mixed, ...labels && { labels: Uint8Array.from(testNumbers, (n) => labels[n]) }, count },
    testOrder: "random",
    testNumbers,
  };
}

function classesOf({ labels = new Uint8Array() }: LabelledImages): number {
  return labels.reduce((most, label) => Math.max(most, label + 1), 0);
}

function pair(imagesFile: IdxFile, labelsFile: IdxFile | undefined): Images & LabelledImages {
  const images = parseImages(imagesFile.bytes, imagesFile.path);
  if (!labelsFile) return images;
  const labels = parseLabels(labelsFile.bytes, labelsFile.path);
  if (labels.length !== images.count) {
    throw new DataError(
      `Cannot use ${labelsFile.path}: it holds ${labels.length} labels ` +
        `(expected ${images.count}, one for each image in ${imagesFile.path}); take both from one data set`,
    );
  }
  return { ...images, labels };
}
