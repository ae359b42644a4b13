/** The IDX files of a data set in a folder, gzipped or not: images, and labels if there are any. */

import { join } from "node:path";
import { DataError } from "./idx.ts";
import { readIdx } from "./read_idx.ts";

/** The names of the files; those of images with channels may say idx4. */
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
 * Reads the files from a folder; each may end in `.gz`, and may be spelled `train-images.idx3-ubyte` or, with channels,
 * `train-images-idx4-ubyte`.
 *
 * @param folder path of the folder
 * @returns the files, unpacked: both files of labels, or neither
 * @throws {DataError} if the folder or a file is missing, cannot be read, or is not what its name says
 */
export async function readIdxFolder(folder: string): Promise<IdxFiles> {
  const present = await listFolder(folder);
  const found = Object.entries(IDX_NAMES).map(([part, name]) => ({
    part,
    name,
    spelling: spellings(name).find((spelling) => present.has(spelling)),
  }));
  const isLabels = (part: string) => part.endsWith("Labels");
  const labelled = found.some(({ part, spelling }) => isLabels(part) && spelling !== undefined);
  const files = found.filter(({ part }) => labelled || !isLabels(part));
  const missing = files.filter(({ spelling }) => spelling === undefined);
  if (missing.length > 0) {
    throw new DataError(
      `Cannot find ${missing.map(({ name }) => name).join(", ")} in ${folder} ` +
        `(expected as ${spellings(missing[0].name).join(", ")}); put the IDX files there`,
    );
  }
  const contents = files.map(async ({ part, spelling }) => [part, await readFile(join(folder, spelling!))]);
  return Object.fromEntries(await Promise.all(contents));
}

/**
 * Whether a folder holds a file of that format: what else lies there is then not read.
 *
 * @throws {DataError} if the folder is missing or cannot be read
 */
export async function hasIdxFiles(folder: string): Promise<boolean> {
  const present = await listFolder(folder);
  return Object.values(IDX_NAMES).flatMap(spellings).some((spelling) => present.has(spelling));
}

/** The names that a file may have; the first that exists is taken. */
function spellings(name: string): string[] {
  const dotted = name.replace("-idx", ".idx");
  const usual = [name, `${name}.gz`, dotted, `${dotted}.gz`];
  return [
    ...usual,
    ...usual.filter((name) => name.includes("idx3")).map((name) => name.replace("idx3", "idx4")),
  ];
}

async function listFolder(folder: string): Promise<Set<string>> {
  try {
    return new Set((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name));
  } catch (error) {
    const names = Object.values(IDX_NAMES).join(", ");
    throw new DataError(
      `Cannot read the data folder ${folder}: ${
        reason(error)
      } (expected a folder of PNG images, or with ${names})`,
      { cause: error },
    );
  }
}

async function readFile(path: string): Promise<IdxFile> {
  const packed = path.endsWith(".gz");
  let file: Deno.FsFile;
  try {
    // Before it is opened: a pipe would be waited for.
    if (!(await Deno.stat(path)).isFile) {
      throw new DataError(`Cannot read ${path}: it is a pipe, a device or a folder (expected a file)`);
    }
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Cannot read ${path}: ${reason(error)}`, { cause: error });
  }
  const content = packed ? file.readable.pipeThrough(new DecompressionStream("gzip")) : file.readable;
  try {
    return { path, bytes: await readIdx(content, path) };
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      packed
        ? `Cannot unpack ${path}: it is damaged or no gzip file (expected gzip, as its name says); ` +
          `download it again, or remove .gz from its name if it is not packed`
        : `Cannot read ${path}: ${reason(error)}`,
      { cause: error },
    );
  }
}

/** Why the file system refused, for a message. */
function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.NotADirectory) return "it is not a folder";
  return error instanceof Error ? error.message : String(error);
}
