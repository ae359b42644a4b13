/** Which PNG files of a folder are images, of which class, and for which part. */

import { join } from "node:path";
import { reasonOf } from "../run/atomic_write.ts";
import { DataError } from "./idx.ts";

/** Most classes: labels are bytes. */
const mostClasses = 256;

/** Folders that split a data set; neither is a class. */
const partNames = ["test", "train"];

/** Names of pictures that are no PNG files. */
const otherPictures = /\.(jpe?g|gif|bmp|webp|tiff?|avif|heic|p[bgnp]m)$/i;

const layout = "images, a folder of images for each class, or train/ and test/ with either";

/** An image's file. */
export interface PictureFile {
  readonly path: string;
  /** Relative to the data folder, with `/` between. */
  readonly name: string;
  /** 0 without classes. */
  readonly label: number;
}

/** The files of a data set, by name. */
export interface PictureFiles {
  readonly train: readonly PictureFile[];
  /** None where the folder is not split into `train` and `test`. */
  readonly test?: readonly PictureFile[];
  /** By label; none where the images lie in no folders. */
  readonly classNames?: readonly string[];
}

/**
 * Finds the PNG files of a data folder: images, or a folder of images for each class, or `train` and `test` with either.
 * Links are followed. Hidden files and those that are no pictures do not count.
 *
 * @param folder path of the folder
 * @returns the files in the order of their names; classes are numbered in the order of theirs
 * @throws {DataError} if the folder holds no images or something else than the above, or cannot be read
 */
export async function findPictures(folder: string): Promise<PictureFiles> {
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

/** @param like the part whose classes the images must be of, if there is one */
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
      `Cannot use ${folder}: it holds the image ${images[0]} beside the folder ${
        folders[0]
      } (expected ${layout}); ` +
        "move the images into folders of their classes",
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
      throw new DataError(
        `Cannot use ${join(folder, name)}: it holds ${
          inside.folders.length > 0 ? `the folder ${inside.folders[0]}` : "no PNG files"
        } (expected the images of a class); move or remove it`,
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

/** The folders and PNG files at a place, by name. */
async function listLevel(root: string, place: string) {
  const folder = join(root, place);
  const found: Record<"folders" | "images", string[]> = { folders: [], images: [] };
  try {
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
      if (name.startsWith(".")) continue;
      const path = join(folder, name);
      if (isDirectory || isSymlink && await isFolder(path)) found.folders.push(name);
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

/** Whether a link leads to a folder; one that leads nowhere does not. */
async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
