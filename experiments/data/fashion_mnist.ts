import { DataError } from "./idx.ts";

/** The Debian package that holds Fashion-MNIST. */
export const FASHION_PACKAGE = "dataset-fashion-mnist";

/** Where the package puts its IDX files. */
export const FASHION_FOLDER = "/usr/share/datasets/fashion-mnist";

/** What the classes are called. Source: Xiao et al. 2017, arXiv:1708.07747, table 2 */
export const FASHION_CLASSES: readonly string[] = [
  "T-shirt/top",
  "trouser",
  "pullover",
  "dress",
  "coat",
  "sandal",
  "shirt",
  "sneaker",
  "bag",
  "ankle boot",
];

/**
 * Finds the folder with the files of Fashion-MNIST.
 *
 * @param folder where Debian's package puts them
 * @returns path of the folder
 * @throws {DataError} if the package is not installed
 */
export async function fashionFolder(folder = FASHION_FOLDER): Promise<string> {
  const installed = await Deno.stat(folder).then(({ isDirectory }) => isDirectory, () => false);
  if (installed) return folder;
  throw new DataError(
    `Cannot find Fashion-MNIST in ${folder}: Debian's package ${FASHION_PACKAGE} is not installed; ` +
      `run apt-get install ${FASHION_PACKAGE}, or pass --data DIR with its IDX files`,
  );
}
