/** The IDX files of a data set in a folder, gzipped or not: images, and labels if there are any. */

import { joined } from "../../viz/image/base64.ts";
import { join } from "node:path";
import { idxHeader } from "../../viz/image/idx.ts";
import { sha256 } from "../run/run_folder.ts";
import { type DataParts, datasetOfArrays } from "./array_data.ts";
import { DataError, type Dataset, listFolder, readDataFile } from "./dataset.ts";
import { bytesArray, formatShape, inMemory, type NumberArray } from "./npy.ts";
import type { ImagePreparation } from "./prepare_image.ts";

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

/** Maximum number of lengths in a header: images, rows, columns, channels. */
const maxRank = 4;
const maxHeaderBytes = 4 + 4 * maxRank;
/** Maximum bytes of a file, the limit of one array. */
const maxBytes = 2 ** 32;

/**
 * Whether a folder holds an IDX file; if so, other files there are ignored.
 *
 * @throws {DataError} if the folder cannot be read
 */
export async function hasIdxFiles(folder: string): Promise<boolean> {
  return (await findFiles(folder)).some(({ spelling }) => spelling !== undefined);
}

/**
 * Reads the files from a folder; each may end in `.gz`, and may be called `train-images.idx3-ubyte` or, with channels,
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
        `Cannot unpack ${path}: it is damaged or not a gzip file; download it again, or remove .gz from its name`,
      );
    });
  });
  return { path, bytes };
}

/**
 * Reads an IDX file from a stream and stops soon after the length in its header, since a compressed file may unpack to
 * a thousand times its size. Memory grows with what is read, not with what the header promises.
 *
 * @param path of the file, for messages
 * @returns all bytes; at least one more than declared if the file is too long, only the start if it has no IDX header
 * @throws {DataError} if the header declares more bytes than an array holds
 * @throws {unknown} the error of the stream
 */
export async function readIdx(
  content: ReadableStream<Uint8Array<ArrayBuffer>>,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let end = Infinity;
  for await (const piece of content) {
    pieces.push(piece);
    size += piece.length;
    if (end === Infinity && size >= maxHeaderBytes) {
      const header = idxHeader(joined(pieces, size));
      end = header && header.shape.length <= maxRank ? header.end : 0;
      if (end > maxBytes) {
        throw new DataError(
          `Cannot read ${path}: its header declares ${end} bytes (expected at most ${maxBytes}); use fewer images`,
        );
      }
    }
    if (size > end) break;
  }
  return joined(pieces, size).subarray(0, Math.max(end + 1, maxHeaderBytes));
}

/**
 * Makes a data set from its files. Training images keep their order, since runs refer to them by number; test images
 * are shuffled.
 *
 * @throws {DataError} if a file is not an IDX file of its kind, or the files do not belong together
 */
export async function datasetOfFiles(
  files: IdxFiles,
  preparation: ImagePreparation,
  digests: Partial<Record<keyof IdxFiles, string>> = {},
): Promise<Omit<Dataset, "name" | "source">> {
  const { trainImages, trainLabels, testImages, testLabels } = files;
  const arrays: DataParts = {
    images: parseIdx(trainImages, "images"),
    labels: trainLabels && parseIdx(trainLabels, "labels"),
    testImages: parseIdx(testImages, "images"),
    testLabels: testLabels && parseIdx(testLabels, "labels"),
  };
  return {
    ...datasetOfArrays(arrays, preparation, { scale: [0, 255] }),
    digest: digests.trainImages ?? await sha256(trainImages.bytes),
    ...trainLabels && { labelDigest: digests.trainLabels ?? await sha256(trainLabels.bytes) },
  };
}

/**
 * Parses a file: images [N, H, W] or [N, H, W, C], or labels [N].
 *
 * @throws {DataError} if it is not an IDX file of its kind, is too short or too long, or holds nothing
 */
export function parseIdx({ path, bytes }: IdxFile, what: "images" | "labels"): NumberArray {
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
  return bytesArray(path, shape, inMemory(bytes.subarray(start)));
}
