/** The IDX files of a data set in a folder, gzipped or not: images, and labels if there are any. */

import { join } from "node:path";
import { idxHeader } from "../../viz/image/idx.ts";
import { sha256 } from "../run/run_folder.ts";
import { datasetOfArrays, formatShape, type NumberArray } from "./arrays.ts";
import { DataError, type Dataset, listFolder, maxDataBytes, readDataFile } from "./dataset.ts";
import type { ImagePreparation } from "./images.ts";

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

/** Whether a folder holds an IDX file; if so, other files there are ignored. */
export async function hasIdxFiles(folder: string): Promise<boolean> {
  return (await findFiles(folder)).some(({ spelling }) => spelling !== undefined);
}

/**
 * Reads the files from a folder; each may end in `.gz`, and may be called `train-images.idx3-ubyte` or, with channels,
 * `train-images-idx4-ubyte`.
 *
 * @returns the unpacked files, with labels for both parts or for none
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
  const file = await readDataFile(path, Deno.readFile, maxDataBytes);
  if (!path.endsWith(".gz")) return { path, bytes: file };
  try {
    const unpacked = new Blob([file]).stream().pipeThrough(new DecompressionStream("gzip"));
    return { path, bytes: await new Response(unpacked).bytes() };
  } catch (cause) {
    throw new DataError(
      `Cannot unpack ${path}: it is damaged or not a gzip file; download it again, or remove .gz from its name`,
      { cause },
    );
  }
}

/**
 * Makes a data set from its files. Training images keep their order, since runs refer to them by number; test images
 * are shuffled.
 */
export async function datasetOfFiles(
  files: IdxFiles,
  preparation: ImagePreparation,
  digests: Partial<Record<keyof IdxFiles, string>> = {},
): Promise<Omit<Dataset, "name" | "source">> {
  const { trainImages, trainLabels, testImages, testLabels } = files;
  const images = parseIdx(trainImages, "images");
  const labels = trainLabels && parseIdx(trainLabels, "labels");
  const test = {
    testImages: parseIdx(testImages, "images"),
    testLabels: testLabels && parseIdx(testLabels, "labels"),
  };
  return {
    ...datasetOfArrays({ images, labels, ...test }, preparation, [0, 255]),
    digest: digests.trainImages ?? await sha256(trainImages.bytes),
    ...trainLabels && { labelDigest: digests.trainLabels ?? await sha256(trainLabels.bytes) },
  };
}

/** Parses a file: images [N, H, W] or [N, H, W, C], or labels [N]. */
function parseIdx({ path, bytes }: IdxFile, what: "images" | "labels"): NumberArray {
  const ranks = what === "images" ? [3, 4] : [1];
  const header = idxHeader(bytes);
  if (!header || !ranks.includes(header.shape.length)) {
    const expected = ranks.map((rank) => `0000080${rank}`).join(" or ");
    throw new DataError(
      `Cannot read ${path}: it has ${bytes.length} bytes and starts with ${
        bytes.subarray(0, 4).toHex() || "nothing"
      } ` +
        `(expected IDX ${what}: ${expected}, then at least ${4 * ranks[0]} bytes)`,
    );
  }
  const { shape, start, end } = header;
  if (start === end) {
    throw new DataError(
      `Cannot read ${path}: its shape is ${formatShape(shape)}, so it has no ${what} (expected at least one)`,
    );
  }
  if (bytes.length !== end) {
    const problem = bytes.length < end ? `${bytes.length} bytes, too few` : "too many bytes";
    throw new DataError(
      `Cannot read ${path}: it has ${problem} (expected ${end} for ${what} ${
        formatShape(shape)
      }); download it again`,
    );
  }
  const values = bytes.subarray(start);
  return { title: path, shape, descr: "|u1", width: 1, bytes: values, valueAt: (i) => values[i] };
}
