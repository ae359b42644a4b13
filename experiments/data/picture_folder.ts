/** Reads folders of PNG and JPEG images: finds the files, their classes and parts, and decodes them. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  DataError,
  type Dataset,
  type LabelledImages,
  listFolder,
  readDataFile,
  shuffled,
  splitBy,
  splitTest,
} from "./dataset.ts";
import { decodeJpeg } from "./jpeg.ts";
import { decodePng, mostFileBytes } from "./png.ts";
import { type ImagePreparation, type ImageView, type PreparedImage, prepareImage } from "./prepare_image.ts";

/** Number of files read at once. */
const together = 16;
/** Most classes: labels are bytes. */
const mostClasses = 256;
/** Most bytes of all images, the limit of one array. */
const mostBytes = 2 ** 32;

/** Folders that split a data set, so they are not classes. */
const partNames = ["test", "train"];
/** Names of images. */
const pictures = /\.(png|jpe?g)$/i;
/** Names of images in other formats. */
const otherPictures = /\.(gif|bmp|webp|tiff?|avif|heic|p[bgnp]m)$/i;
const layout = "images, a folder of images for each class, or train/ and test/ with either";

/** Files of a part by class, sorted, as paths relative to the data folder with `/`; "" is the class without a folder. */
type Part = ReadonlyMap<string, readonly string[]>;

/** How a folder of images is read. */
export interface PictureFolderOptions extends ImagePreparation {
  /** A file that lists the test images, one path in the folder a line. */
  readonly testList?: string | null;
  /** Called as files are read, with the number done. */
  readonly onRead?: ((done: number, total: number) => void) | undefined;
}

/**
 * Reads a folder of PNG and JPEG images: images alone, a folder of images for each class, or `train` and `test` with
 * either. Without `test` or a list, a tenth of each class becomes the test, always the same images. Follows links; ignores
 * hidden files and files that are not pictures.
 *
 * @param folder path of the folder
 * @throws {DataError} if the layout or the list is wrong, there are too few images to split, or a file cannot be used
 */
export async function readPictures(
  folder: string,
  { testList, onRead, ...preparation }: PictureFolderOptions = {},
): Promise<Omit<Dataset, "name" | "source">> {
  const parts = await findParts(folder);
  const classNames = [...parts[0].keys()];
  const [train, test = []] = parts.map((part) =>
    [...part].flatMap(([name, paths]) => {
      const label = classNames.indexOf(name);
      return paths.map((path) => ({ path, label }));
    })
  );
  const files = [...train, ...test];
  const listed = testList == null ? undefined : await readTestList(testList, folder, parts);
  const order = listed
    ? splitBy(train.map(({ path }) => listed.has(path)))
    : parts.length === 1
    ? splitTest(train.map(({ label }) => label))
    : {
      train: [...shuffled(train.length)],
      test: Array.from(shuffled(test.length), (image) => train.length + image),
    };
  if (order.train.length === 0) {
    throw new DataError(
      `Cannot use ${testList}: it lists all images of ${folder} (expected some left to train on)`,
    );
  }
  if (order.test.length === 0) {
    throw new DataError(
      `Cannot split ${folder}: it holds ${files.length} ${files.length === 1 ? "image" : "images"} ` +
        "(expected at least two of a class, one for the test)",
    );
  }
  const places = new Uint32Array(files.length);
  [...order.train, ...order.test].forEach((file, place) => places[file] = place);

  const stack = new ImageStack(files.length);
  const hash = createHash("sha256");
  for (let from = 0; from < files.length; from += together) {
    const some = files.slice(from, from + together).map(({ path }) => path);
    const contents = await Promise.all(
      some.map((path) => readDataFile(join(folder, path), Deno.readFile, mostFileBytes)),
    );
    for (const [i, path] of some.entries()) {
      hash.update(`${path}\0${contents[i].length}\0`).update(contents[i]);
      const decoded = await decodePicture(contents[i], join(folder, path));
      stack.put(places[from + i], prepareImage(decoded, preparation), join(folder, path));
    }
    onRead?.(from + some.length, files.length);
  }

  if (listed) hash.update([...listed].sort().join("\0"));

  const labelled = classNames[0] !== "";
  const { channels, height, width, bytes } = stack;
  const values = channels * height * width;
  const part = (indices: readonly number[], from: number): LabelledImages => ({
    images: bytes.subarray(from * values, (from + indices.length) * values),
    ...labelled && { labels: Uint8Array.from(indices, (file) => files[file].label) },
    count: indices.length,
  });
  return {
    train: part(order.train, 0),
    test: part(order.test, order.train.length),
    channels,
    height,
    width,
    classes: labelled ? classNames.length : 0,
    ...labelled && { classNames },
    digest: hash.digest("hex"),
  };
}

/** Decodes a file by what its name says. */
async function decodePicture(bytes: Uint8Array<ArrayBuffer>, path: string): Promise<ImageView> {
  return /png$/i.test(path) ? decodePng(bytes, path) : await decodeJpeg(bytes, path);
}

/**
 * Reads which images are the test.
 *
 * @returns their paths in the folder
 * @throws {DataError} if the folder has a test already, or a line is none of its images
 */
async function readTestList(list: string, folder: string, parts: readonly Part[]): Promise<Set<string>> {
  if (parts.length > 1) {
    throw new DataError(`Cannot use ${list}: ${folder} has a folder test/ (expected one or the other)`);
  }
  const paths = new Set([...parts[0].values()].flat());
  const lines = (await readDataFile(list, Deno.readTextFile, mostFileBytes)).split("\n");
  const listed = new Set<string>();
  for (const [n, line] of lines.entries()) {
    const path = line.trim().replace(/^\.\//, "");
    if (path === "") continue;
    if (!paths.has(path)) {
      throw new DataError(
        `Cannot use ${list}: line ${n + 1}, ${JSON.stringify(path)}, is no image in ${folder} ` +
          `(expected paths such as ${paths.values().next().value})`,
      );
    }
    listed.add(path);
  }
  if (listed.size === 0) {
    throw new DataError(
      `Cannot use ${list}: it lists no image of ${folder} (expected one path in it a line)`,
    );
  }
  return listed;
}

/** N images of one size, u8[N, C, H, W]; has three channels once one image is in colour. */
class ImageStack {
  channels: 1 | 3 = 1;
  height = 0;
  width = 0;
  bytes = new Uint8Array();
  readonly #count: number;
  /** Path of the first image. */
  #first: string | undefined;

  constructor(count: number) {
    this.#count = count;
  }

  put(n: number, { channels, height, width, planes }: PreparedImage, path: string): void {
    const isFirst = this.#first === undefined;
    if (isFirst) Object.assign(this, { height, width });
    this.#first ??= path;
    if (height !== this.height || width !== this.width) {
      throw new DataError(
        `Cannot use ${path}: it is ${height}x${width} (expected ${this.height}x${this.width} as ${this.#first}); ` +
          "pass --resize H,W",
      );
    }
    if (isFirst || channels > this.channels) this.#allocate(channels);
    const size = height * width;
    for (let channel = 0; channel < this.channels; channel++) {
      const from = channels === 1 ? 0 : channel * size;
      this.bytes.set(planes.subarray(from, from + size), (n * this.channels + channel) * size);
    }
  }

  /** Makes room for all images, and turns the grey ones so far into three equal channels. */
  #allocate(channels: 1 | 3): void {
    const size = this.height * this.width;
    const total = this.#count * channels * size;
    if (total > mostBytes) {
      throw new DataError(
        `Cannot load ${this.#count} images as large as ${this.#first}: they are ${total} bytes ` +
          `(expected at most ${mostBytes}); pass a smaller --resize H,W, or save them as one .npy array, which may be larger`,
      );
    }
    const grey = this.bytes;
    this.bytes = new Uint8Array(total);
    this.channels = channels;
    for (let at = 0; at < grey.length; at += size) {
      for (let c = 0; c < 3; c++) this.bytes.set(grey.subarray(at, at + size), 3 * at + c * size);
    }
  }
}

/** The files of the training part, then those of the test if the folder is split. */
async function findParts(root: string): Promise<readonly Part[]> {
  const { folders, images } = await listLevel(root);
  if (!folders.some((name) => partNames.includes(name))) return [await findPart(root, "")];
  if (images.length > 0 || `${folders}` !== `${partNames}`) {
    const held = [...folders.map((name) => `${name}/`), ...images].slice(0, 4).join(", ");
    throw new DataError(
      `Cannot tell parts from classes in ${root}: it holds ${held} (expected train/ and test/ alone, or neither)`,
    );
  }
  const [train, test] = [await findPart(root, "train/"), await findPart(root, "test/")];
  const unknown = test.keys().find((name) => !train.has(name));
  if (unknown === undefined) return [train, test];
  const what = unknown === "" ? "images without classes" : `the folder ${unknown}`;
  throw new DataError(
    `Cannot use ${join(root, "test")}: it holds ${what} (expected the same classes in train/ and test/)`,
  );
}

/** @param part "" or the name of a part with `/` */
async function findPart(root: string, part: string): Promise<Part> {
  const folder = join(root, part);
  const cannotUse = (folder: string, what: string) => new DataError(`Cannot use ${folder}: it holds ${what}`);
  const { folders, images } = await listLevel(folder);
  if (images.length > 0 && folders.length > 0) {
    throw cannotUse(folder, `the image ${images[0]} beside the folder ${folders[0]} (expected ${layout})`);
  }
  if (images.length + folders.length === 0) {
    throw new DataError(`Cannot find images in ${folder} (expected PNG or JPEG files: ${layout})`);
  }
  if (folders.length > mostClasses) {
    throw cannotUse(
      folder,
      `${folders.length} folders (expected one for each class, at most ${mostClasses})`,
    );
  }
  if (images.length > 0) return new Map([["", images.map((name) => part + name)]]);
  const classes = new Map<string, string[]>();
  for (const name of folders) {
    const inside = await listLevel(join(folder, name));
    if (inside.images.length === 0 || inside.folders.length > 0) {
      const what = inside.folders.length > 0 ? `the folder ${inside.folders[0]}` : "no PNG or JPEG files";
      throw cannotUse(join(folder, name), `${what} (expected the images of a class)`);
    }
    classes.set(name, inside.images.map((image) => `${part}${name}/${image}`));
  }
  return classes;
}

/** Names of the folders, and of the PNG and JPEG files, in a folder, sorted. */
async function listLevel(folder: string): Promise<Record<"folders" | "images", string[]>> {
  const [folders, images]: string[][] = [[], []];
  for (const { name, isDirectory, isSymlink } of await listFolder(folder)) {
    if (name.startsWith(".")) continue;
    const path = join(folder, name);
    if (isDirectory || isSymlink && await leadsToFolder(path)) folders.push(name);
    else if (pictures.test(name)) images.push(name);
    else if (otherPictures.test(name)) {
      throw new DataError(
        `Cannot use ${path}: it is neither a PNG nor a JPEG file (expected those alone); convert it to PNG`,
      );
    }
  }
  return { folders: folders.sort(), images: images.sort() };
}

/** Whether a link leads to a folder; false for a dangling link. */
async function leadsToFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
