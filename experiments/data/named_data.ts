import { FASHION_CLASSES, FASHION_PACKAGE, fashionFolder } from "./fashion_mnist.ts";
import type { IdxFiles } from "./idx_folder.ts";
import { type Fingerprint, MNIST_FINGERPRINTS, MNIST_PACKAGE, mnistFolder } from "./mnist.ts";

/** A data set that goes by its name: IDX files of a package. */
export interface NamedData {
  /** The package. */
  readonly source: string;
  /** Finds the folder with the files. */
  readonly folder: () => Promise<string>;
  /** What the files must be, where the package manager does not see to that. */
  readonly fingerprints?: Readonly<Record<keyof IdxFiles, Fingerprint>>;
  /** What the classes are called, by label. */
  readonly classNames?: readonly string[];
}

/** The data sets that `--data` knows by name. */
export const namedData: Readonly<Record<"mnist" | "fashion-mnist", NamedData>> = {
  mnist: { source: MNIST_PACKAGE, folder: mnistFolder, fingerprints: MNIST_FINGERPRINTS },
  "fashion-mnist": {
    source: `deb:${FASHION_PACKAGE}`,
    folder: () => fashionFolder(),
    classNames: FASHION_CLASSES,
  },
};

/** Whether a data set goes by this name. */
export function isNamed(name: string): name is keyof typeof namedData {
  return Object.hasOwn(namedData, name);
}
