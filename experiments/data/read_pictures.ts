import { createHash } from "node:crypto";
import { reasonOf } from "../run/atomic_write.ts";
import { decodePng } from "./decode_png.ts";
import { DataError } from "./idx.ts";
import { ImageStack } from "./image_stack.ts";
import type { Dataset, LabelledImages } from "./labelled_images.ts";
import { findPictures, type PictureFile, type PictureFiles } from "./picture_folder.ts";
import { mostFileBytes } from "./png_header.ts";
import { shuffled, splitTest } from "./test_split.ts";

/** Files that are read at once. */
const together = 16;

/** Called as files are read. */
export type OnRead = (done: number, total: number) => void;

/**
 * Reads a folder of PNG images, laid out as {@linkcode findPictures} says. Without a part `test`, a tenth of each class
 * tests, always the same images.
 *
 * @param folder path of the folder
 * @param onRead called after every few files
 * @throws {DataError} if the folder is laid out otherwise, has too few images to split, or a file cannot be used
 */
export async function readPictures(
  folder: string,
  onRead?: OnRead,
): Promise<Omit<Dataset, "name" | "source">> {
  const found = await findPictures(folder);
  const files = [...found.train, ...found.test ?? []];
  const order = orderOf(found, folder);
  const places = new Uint32Array(files.length);
  [...order.train, ...order.test].forEach((file, place) => places[file] = place);

  const stack = new ImageStack(files.length);
  const hash = createHash("sha256");
  for (let from = 0; from < files.length; from += together) {
    const some = files.slice(from, from + together);
    const contents = await Promise.all(some.map(readFile));
    for (const [i, { path, name }] of some.entries()) {
      hash.update(`${name}\0${contents[i].length}\0`).update(contents[i]);
      stack.put(places[from + i], decodePng(contents[i], path), path);
    }
    onRead?.(from + some.length, files.length);
  }

  const { classNames } = found;
  const { channels, height, width } = stack.size;
  const values = channels * height * width;
  const part = (indices: readonly number[], from: number): LabelledImages => ({
    images: stack.bytes.subarray(from * values, (from + indices.length) * values),
    ...classNames && { labels: Uint8Array.from(indices, (file) => files[file].label) },
    count: indices.length,
  });
  return {
    train: part(order.train, 0),
    test: part(order.test, order.train.length),
    ...stack.size,
    classes: classNames?.length ?? 0,
    ...classNames && { classNames },
    digest: hash.digest("hex"),
  };
}

/** Indices of the files for both parts, in random order: whoever takes the first ones gets all classes. */
function orderOf({ train, test }: PictureFiles, folder: string) {
  if (test) {
    return {
      train: [...shuffled(train.length)],
      test: Array.from(shuffled(test.length), (image) => train.length + image),
    };
  }
  const split = splitTest(train.map(({ label }) => label));
  if (split.test.length > 0) return split;
  throw new DataError(
    `Cannot split ${folder}: it holds ${train.length} ${train.length === 1 ? "image" : "images"}, too few ` +
      "(expected two of a class, one for the test); add more",
  );
}

async function readFile({ path }: PictureFile): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { isFile, size } = await Deno.stat(path); // before it is opened: a pipe would be waited for
    if (!isFile) throw new DataError(`Cannot read ${path}: it is a pipe or a device (expected a file)`);
    if (size <= mostFileBytes) return await Deno.readFile(path);
    throw new DataError(
      `Cannot read ${path}: it has ${size} bytes (expected at most ${mostFileBytes}); save the image smaller`,
    );
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}
