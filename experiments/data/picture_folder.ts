/** Reads folders of PNG images: finds the files, their classes and parts, and decodes them. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { reasonOf } from "../run/atomic_write.ts";
import { DataError, type Dataset, type LabelledImages, shuffled, splitTest } from "./dataset.ts";
import { decodePng, mostFileBytes, type Pixels } from "./png.ts";

/** Number of files read at once. */
const together = 16;
/** Most classes: labels are bytes. */
const mostClasses = 256;
/** Most bytes of all images, the limit of one array. */
const mostBytes = 2 ** 32;

/** Folders that split a data set, so they are not classes. */
const partNames = ["test", "train"];
/** Names of images in other formats. */
const otherPictures = /\.(jpe?g|gif|bmp|webp|tiff?|avif|heic|p[bgnp]m)$/i;
const layout = "images, a folder of images for each class, or train/ and test/ with either";

interface PictureFile {
  readonly path: string;
  /** Path relative to the data folder, with `/`. */
  readonly name: string;
  /** 0 without classes. */
  readonly label: number;
}

/** The files of a data set, sorted by name. */
interface PictureFiles {
  readonly train: readonly PictureFile[];
  /** Undefined unless the folder is split into `train` and `test`. */
  readonly test?: readonly PictureFile[];
  /** By label; undefined without a folder for each class. */
  readonly classNames?: readonly string[];
}

/** Called as files are read, with the number done. */
export type OnRead = (done: number, total: number) => void;

/**
 * Reads a folder of PNG images: images alone, a folder of images for each class, or `train` and `test` with either.
 * Without `test`, a tenth of each class becomes the test, always the same images. Follows links; ignores hidden files
 * and files that are not pictures.
 *
 * @param folder path of the folder
 * @param onRead called after every few files
 * @throws {DataError} if the layout is wrong, there are too few images to split, or a file cannot be used
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

/** Random order of the files of both parts; the first ones cover all classes. */
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
    const { isFile, size } = await Deno.stat(path); // first, since opening a pipe would wait
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

/** N images of one size, u8[N, C, H, W]; has three channels once one image is in colour. */
class ImageStack {
  readonly #count: number;
  #first: Pixels & { readonly path: string } | undefined;
  #channels: 1 | 3 = 1;
  bytes = new Uint8Array();

  constructor(count: number) {
    this.#count = count;
  }

  get size(): { readonly channels: 1 | 3; readonly height: number; readonly width: number } {
    const { height, width } = this.#first ?? { height: 0, width: 0 };
    return { channels: this.#channels, height, width };
  }

  put(n: number, image: Pixels, path: string): void {
    const { channels, height, width, pixels } = image;
    if (this.#first === undefined) {
      this.#first = { ...image, path };
      this.#channels = channels;
      this.bytes = this.#allocate();
    }
    const first = this.#first;
    if (height !== first.height || width !== first.width) {
      throw new DataError(
        `Cannot use ${path}: it is ${height}x${width} (expected ${first.height}x${first.width} as ${first.path}); ` +
          "scale all images to one size",
      );
    }
    if (channels > this.#channels) this.#addColour();
    const size = height * width;
    for (let channel = 0; channel < this.#channels; channel++) {
      const plane = (n * this.#channels + channel) * size;
      const from = channels === 1 ? 0 : channel;
      for (let i = 0; i < size; i++) this.bytes[plane + i] = pixels[channels * i + from];
    }
  }

  /** Turns the grey images so far into three equal channels. */
  #addColour(): void {
    const grey = this.bytes;
    const size = grey.length / this.#count;
    this.#channels = 3;
    this.bytes = this.#allocate();
    for (let n = 0; n < this.#count; n++) {
      const plane = grey.subarray(n * size, (n + 1) * size);
      for (let channel = 0; channel < 3; channel++) this.bytes.set(plane, (3 * n + channel) * size);
    }
  }

  #allocate(): Uint8Array<ArrayBuffer> {
    const { height, width, path } = this.#first!;
    const size = this.#count * this.#channels * height * width;
    if (size <= mostBytes) return new Uint8Array(size);
    throw new DataError(
      `Cannot load ${this.#count} images as large as ${path}: they are ${size} bytes (expected at most ${mostBytes}); ` +
        "take fewer or smaller images",
    );
  }
}

/** Finds the files, sorted by name; classes are numbered in the order of their names. */
async function findPictures(folder: string): Promise<PictureFiles> {
  const { folders, images } = await listLevel(folder, "");
  if (!folders.some((name) => partNames.includes(name))) return await findPart(folder, "");
  if (images.length > 0 || `${folders}` !== `${partNames}`) {
    const held = [...folders.map((name) => `${name}/`), ...images].slice(0, 4).join(", ");
    throw new DataError(
      `Cannot tell parts from classes in ${folder}: it holds ${held} (expected train/ and test/ and nothing else, or ` +
        "neither); move or rename the others",
    );
  }
  const train = await findPart(folder, "train");
  return { ...train, test: (await findPart(folder, "test", train)).train };
}

/** @param like the part with the classes that this one must have */
async function findPart(root: string, part: string, like?: PictureFiles): Promise<PictureFiles> {
  const folder = join(root, part);
  const { folders, images } = await listLevel(root, part);
  const files = (names: readonly string[], inside: string, label: number) =>
    names.map((file) => {
      const name = [part, inside, file].filter((word) => word !== "").join("/");
      return { path: join(root, name), name, label };
    });
  if (images.length > 0 && folders.length > 0) {
    throw new DataError(
      `Cannot use ${folder}: it holds the image ${images[0]} beside the folder ${folders[0]} ` +
        `(expected ${layout}); move the images into folders of their classes`,
    );
  }
  if (images.length + folders.length === 0) {
    throw new DataError(`Cannot find images in ${folder} (expected PNG files: ${layout})`);
  }
  const classNames = like ? like.classNames : folders.length > 0 ? folders : undefined;
  checkClasses(folder, folders, classNames);
  if (!classNames) return { train: files(images, "", 0) };
  const train: PictureFile[] = [];
  for (const name of folders) {
    const inside = await listLevel(root, join(part, name));
    if (inside.images.length === 0 || inside.folders.length > 0) {
      const what = inside.folders.length > 0 ? `the folder ${inside.folders[0]}` : "no PNG files";
      throw new DataError(
        `Cannot use ${
          join(folder, name)
        }: it holds ${what} (expected the images of a class); move or remove it`,
      );
    }
    for (const file of files(inside.images, name, classNames.indexOf(name))) train.push(file);
  }
  return { train, classNames };
}

function checkClasses(folder: string, found: readonly string[], classNames: readonly string[] = []): void {
  const unknown = found.find((name) => !classNames.includes(name));
  if (unknown !== undefined || found.length === 0 && classNames.length > 0) {
    const what = unknown === undefined ? "images without classes" : `the folder ${unknown}`;
    throw new DataError(
      `Cannot use ${folder}: it holds ${what} (expected the same classes in train/ and test/)`,
    );
  }
  if (classNames.length > mostClasses) {
    throw new DataError(
      `Cannot use ${folder}: it holds ${classNames.length} folders (expected one for each class, at most ` +
        `${mostClasses})`,
    );
  }
}

/** Names of the folders and PNG files in a folder, sorted. */
async function listLevel(root: string, place: string) {
  const folder = join(root, place);
  const found: Record<"folders" | "images", string[]> = { folders: [], images: [] };
  try {
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
      if (name.startsWith(".")) continue;
      const path = join(folder, name);
      if (isDirectory || isSymlink && await leadsToFolder(path)) found.folders.push(name);
      else if (/\.png$/i.test(name)) found.images.push(name);
      else if (otherPictures.test(name)) {
        throw new DataError(
          `Cannot use ${path}: it is not a PNG file (expected PNG images alone); convert it to PNG`,
        );
      }
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Cannot read the data folder ${folder}: ${reasonOf(error)}`, { cause: error });
  }
  return { folders: found.folders.sort(), images: found.images.sort() };
}

/** Whether a link leads to a folder; false for a dangling link. */
async function leadsToFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
