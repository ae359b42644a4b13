/** Finds the images of a folder, their classes and parts. */

import { join } from "node:path";
import { DataError, listFolder } from "./dataset.ts";

/** Maximum number of classes, since labels are bytes. */
const maxClasses = 256;

/** Folders that split a data set, so they are not classes. */
const partNames = ["test", "train"];
/** Names of images. */
const pictures = /\.(png|jpe?g)$/i;
/** Names of images in unsupported formats. */
const otherPictures = /\.(gif|bmp|webp|tiff?|avif|heic|p[bgnp]m)$/i;
const layout = "images, a folder of images for each class, or train/ and test/ with either";

/** Files of a part by class, sorted, as paths relative to the data folder with `/`; "" is the class without a folder. */
export type Part = ReadonlyMap<string, readonly string[]>;

/** The files of the training part, then those of the test if the folder is split. */
export async function findParts(root: string): Promise<readonly Part[]> {
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
    if (isDirectory || isSymlink && await leadsToFolder(path)) folders.push(name);
    else if (pictures.test(name)) images.push(name);
    else if (otherPictures.test(name)) {
      throw new DataError(
        `Cannot use ${path}: it is neither a PNG nor a JPEG file (expected only those); convert it to PNG`,
      );
    }
  }
  return { folders: folders.sort(), images: images.sort() };
}

/** Whether a link leads to a folder; false for a dangling link. */
async function leadsToFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
