/** Folders and files of data sets. They may lie anywhere, and links may lead anywhere. */

import { reasonOf } from "../run/atomic_write.ts";
import { DataError } from "./dataset.ts";

/**
 * Lists a folder of data.
 *
 * @throws {DataError} if it cannot be read
 */
export async function listFolder(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    throw new DataError(`Cannot read the data folder ${folder}: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Reads a regular file. Its kind and size are checked before it is opened, since opening a pipe would wait.
 *
 * @param read opens and reads it
 * @throws {DataError} if it is not a file, is too large, or cannot be read
 */
export async function readDataFile<Content>(
  path: string,
  read: (path: string) => Promise<Content>,
  mostBytes = Infinity,
): Promise<Content> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) {
      throw new DataError(`Cannot read ${path}: it is a pipe, a device or a folder (expected a file)`);
    }
    if (size <= mostBytes) return await read(path);
    throw new DataError(`Cannot read ${path}: it has ${size} bytes (expected at most ${mostBytes})`);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** The big-endian u32 at a position. @throws {RangeError} beyond the end */
export function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}
