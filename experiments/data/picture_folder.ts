/** Reads folders of PNG and JPEG images: finds their classes and parts, decodes and stacks them. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  DataError,
  type Dataset,
  isFolder,
  type LabelledImages,
  listFolder,
  readDataFile,
  roomFor,
  shuffled,
  splitTest,
} from "./dataset.ts";
import { type ImagePreparation, type PreparedImage, prepareImage } from "./images.ts";
import { decodeJpeg, decodePng, maxFileBytes } from "./picture_formats.ts";

/** Number of files read at a time. */
const together = 16;
/** Maximum number of damaged images that an error names. */
const maxNamed = 10;

/** Maximum number of classes, since labels are bytes. */
const maxClasses = 256;

/** Folders that split a data set, so they are not classes. */
const partNames = ["test", "train"];
/** Names of images. */
const pictures = /\.(png|jpe?g)$/i;
/** Names of images in unsupported formats. */
const otherPictures = /\.(gif|bmp|webp|tiff?|avif|heic|p[bgnp]m)$/i;
const layout = "images, a folder of images for each class, or train/ and test/ with either";

/** What is wrong with files, by their paths. */
type Damaged = ReadonlyMap<string, DataError>;

/** How a data set is loaded; only folders of images take more than a preparation. */
export interface DatasetOptions extends ImagePreparation {
  /** A file that lists the test images, one path per line, relative to the folder. */
  readonly testList?: string | null;
  /** Whether to leave out images that cannot be decoded. */
  readonly skipDamaged?: boolean;
  /** Called with the number of files read so far. */
  readonly onRead?: ((done: number, total: number) => void) | undefined;
}

/**
 * Reads a folder of PNG and JPEG images: only images, a folder of images for each class, or `train` and `test` with
 * either. Without `test` or a list, a tenth of each class is held out as test images, always the same ones. Follows
 * links; ignores hidden files and files that are not pictures.
 *
 * @param folder path of the folder
 */
export async function readPictures(
  folder: string,
  { testList, skipDamaged, ...how }: DatasetOptions = {},
): Promise<Omit<Dataset, "name" | "source">> {
  const parts = await findParts(folder);
  const listed = testList == null ? undefined : await readTestList(testList, folder, parts);
  const read = await readParts(folder, parts, { ...how, listed });
  if (!("damaged" in read)) return read;
  const { damaged } = read;
  if (!skipDamaged) throw damageError(folder, damaged, parts);
  // Read again without the damaged images: the split depends on the number of images.
  const whole = parts.map((part) =>
    new Map(Array.from(part, ([name, paths]) => [name, paths.filter((path) => !damaged.has(path))]))
  );
  const [empty] = whole.flatMap((part) => [...part]).find(([, paths]) => paths.length === 0) ?? [];
  if (empty !== undefined) {
    throw new DataError(
      `Cannot use ${
        join(folder, empty)
      }: all its images are damaged (expected at least one that is not); replace them`,
    );
  }
  const rest = await readParts(folder, whole, { ...how, listed, left: damaged.size });
  if ("damaged" in rest) throw damageError(folder, rest.damaged, whole);
  return { ...rest, damaged: damaged.size };
}

/** The error for images that cannot be used: it names one, or the first ones and their number. */
function damageError(folder: string, damaged: Damaged, parts: readonly Part[]): DataError {
  const [[, { message }]] = damaged;
  const advice = `${message}, or pass --skip-damaged`;
  if (damaged.size === 1) return new DataError(advice);
  const total = parts.flatMap((part) => [...part.values()]).flat().length;
  const more = damaged.size - maxNamed;
  const names = [...damaged.keys()].slice(0, maxNamed).join(", ") + (more > 0 ? ` and ${more} more` : "");
  return new DataError(`Cannot use ${damaged.size} of ${total} images in ${folder}: ${names}; ${advice}`);
}

/** How the files of the parts are read. */
interface PartOptions extends Omit<DatasetOptions, "testList" | "skipDamaged"> {
  /** The test images, if a list names them. */
  readonly listed: ReadonlySet<string> | undefined;
  /** Number of damaged images that are left out. */
  readonly left?: number;
}

/** @returns what is wrong with those that cannot be decoded, if there are any */
async function readParts(
  folder: string,
  parts: readonly Part[],
  { listed, left = 0, onRead, ...preparation }: PartOptions,
): Promise<Omit<Dataset, "name" | "source" | "damaged"> | { readonly damaged: Damaged }> {
  const classNames = [...parts[0].keys()];
  const [train, test = []] = parts.map((part) =>
    [...part].flatMap(([name, paths]) => {
      const label = classNames.indexOf(name);
      return paths.map((path) => ({ path, label }));
    })
  );
  const files = [...train, ...test];
  const all = [...shuffled(train.length)];
  const order = listed
    ? {
      train: all.filter((image) => !listed.has(train[image].path)),
      test: all.filter((image) => listed.has(train[image].path)),
    }
    : parts.length === 1
    ? splitTest(train.map(({ label }) => label))
    : {
      train: all,
      test: Array.from(shuffled(test.length), (image) => train.length + image),
    };
  if (order.train.length === 0) {
    throw new DataError(
      `Cannot use --test-list: it lists all images of ${folder} (expected it to leave some for training)`,
    );
  }
  if (order.test.length === 0) {
    throw new DataError(
      `Cannot split ${folder}: it holds ${files.length} ${files.length === 1 ? "image" : "images"} ` +
        "(expected at least two of a class, one of them for the test)",
    );
  }
  const places = new Uint32Array(files.length);
  [...order.train, ...order.test].forEach((file, place) => places[file] = place);

  const stack = new ImageStack(files.length);
  const damaged = new Map<string, DataError>();
  const hash = createHash("sha256");
  for (let from = 0; from < files.length; from += together) {
    const batch = files.slice(from, from + together).map(({ path }) => path);
    const contents = await Promise.all(
      batch.map((path) => readDataFile(join(folder, path), Deno.readFile, maxFileBytes)),
    );
    for (const [i, path] of batch.entries()) {
      hash.update(`${path}\0${contents[i].length}\0`).update(contents[i]);
      const place = join(folder, path);
      const decode = async () =>
        /png$/i.test(path) ? decodePng(contents[i], place) : await decodeJpeg(contents[i], place);
      const decoded = await decode().catch((error: unknown) => {
        if (!(error instanceof DataError)) throw error;
        damaged.set(path, error);
      });
      if (decoded) stack.put(places[from + i], prepareImage(decoded, preparation), place);
    }
    onRead?.(from + batch.length, files.length);
  }

  if (damaged.size > 0) return { damaged };
  if (listed) hash.update([...listed].sort().join("\0"));
  if (left > 0) hash.update(`${left} damaged`);

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

/**
 * Reads the list of test images.
 *
 * @returns their paths in the folder
 */
async function readTestList(list: string, folder: string, parts: readonly Part[]): Promise<Set<string>> {
  if (parts.length > 1) {
    throw new DataError(`Cannot use ${list}: ${folder} has a folder test/ (expected one or the other)`);
  }
  const paths = new Set([...parts[0].values()].flat());
  const lines = (await readDataFile(list, Deno.readTextFile, maxFileBytes)).split("\n");
  const listed = new Set<string>();
  for (const [n, line] of lines.entries()) {
    const path = line.trim().replace(/^\.\//, "");
    if (path === "") continue;
    if (!paths.has(path)) {
      throw new DataError(
        `Cannot use ${list}: line ${n + 1}, ${JSON.stringify(path)}, is not an image in ${folder} ` +
          `(expected paths such as ${paths.values().next().value})`,
      );
    }
    listed.add(path);
  }
  if (listed.size === 0) {
    throw new DataError(
      `Cannot use ${list}: it lists no image of ${folder} (expected one path per line)`,
    );
  }
  return listed;
}

/** N images of one size, u8[N, C, H, W]; with three channels as soon as one image is in colour. */
class ImageStack {
  channels: 1 | 3 = 1;
  height = 0;
  width = 0;
  bytes = new Uint8Array();
  /** Path of the first image. */
  #first: string | undefined;

  constructor(readonly count: number) {}

  put(n: number, { channels, height, width, planes }: PreparedImage, path: string): void {
    if (this.#first === undefined) {
      this.#first = path;
      Object.assign(this, { channels, height, width, bytes: roomFor(this.count, planes.length, path) });
    }
    if (height !== this.height || width !== this.width) {
      throw new DataError(
        `Cannot use ${path}: it is ${height}x${width} (expected ${this.height}x${this.width} as ${this.#first}); ` +
          "pass --resize H,W",
      );
    }
    const size = height * width;
    if (channels > this.channels) { // the grey ones so far become three equal channels
      const grey = this.bytes;
      this.bytes = roomFor(this.count, planes.length, this.#first);
      this.channels = channels;
      for (let i = 0; i < this.count; i++) this.#set(i, grey.subarray(i * size, (i + 1) * size), size);
    }
    this.#set(n, planes, size);
  }

  #set(n: number, planes: Uint8Array, size: number): void {
    for (let c = 0; c < this.channels; c++) {
      const from = planes.length === size ? 0 : c * size;
      this.bytes.set(planes.subarray(from, from + size), (n * this.channels + c) * size);
    }
  }
}

/** Files of a part by class, sorted, as paths relative to the data folder with `/`; "" is the class without a folder. */
type Part = ReadonlyMap<string, readonly string[]>;

/** The files of the training part, then those of the test if the folder is split. */
async function findParts(root: string): Promise<readonly Part[]> {
  const { folders, images } = await listLevel(root);
  if (!folders.some((name) => partNames.includes(name))) return [await findPart(root, "")];
  if (images.length > 0 || `${folders}` !== `${partNames}`) {
    const held = [...folders.map((name) => `${name}/`), ...images].slice(0, 4).join(", ");
    throw new DataError(
      `Cannot tell parts from classes in ${root}: it holds ${held} (expected only train/ and test/, or neither)`,
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
    throw cannotUse(folder, `the image ${images[0]} next to the folder ${folders[0]} (expected ${layout})`);
  }
  if (images.length + folders.length === 0) {
    throw new DataError(`Cannot find images in ${folder} (expected PNG or JPEG files: ${layout})`);
  }
  if (folders.length > maxClasses) {
    throw cannotUse(
      folder,
      `${folders.length} folders (expected one for each class, at most ${maxClasses})`,
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
    if (isDirectory || isSymlink && await isFolder(path)) folders.push(name);
    else if (pictures.test(name)) images.push(name);
    else if (otherPictures.test(name)) {
      throw new DataError(
        `Cannot use ${path}: it is neither a PNG nor a JPEG file (expected only those); convert it to PNG`,
      );
    }
  }
  return { folders: folders.sort(), images: images.sort() };
}
