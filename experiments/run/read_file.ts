import { RunError } from "./atomic_write.ts";
import { openContained } from "./contained.ts";

/**
 * Reads a file of a run.
 *
 * @param folder the folder that it must lie in; by default the one that the path names
 * @throws {RunError} if there is none, it leads out of the folder, or it cannot be read
 */
export async function readFile(path: string, folder?: string): Promise<Uint8Array> {
  const bytes = await readIfThere(path, folder);
  if (bytes !== undefined) return bytes;
  throw new RunError(`Cannot read ${path}: there is no such file`);
}

/**
 * Reads a file that a run need not have.
 *
 * @param folder the folder that it must lie in; by default the one that the path names
 * @returns undefined if there is no such file
 * @throws {RunError} if it leads out of the folder, or exists but cannot be read
 */
export async function readIfThere(
  path: string,
  folder?: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const file = await openContained(path, folder);
  return file && await new Response(file.readable).bytes();
}

/**
 * Reads a JSON object.
 *
 * @returns undefined if there is no such file
 * @throws {RunError} if it leads out of its folder, cannot be read or holds no object
 */
export async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch { /* not JSON */ }
  throw new RunError(`Cannot read ${path}: it holds no JSON object; take the file from a backup`);
}
