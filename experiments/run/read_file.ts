import { reasonOf, RunError } from "./atomic_write.ts";

/**
 * Reads a file of a run.
 *
 * @throws {RunError} if it cannot be read
 */
export async function readFile(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new RunError(`Cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Reads a file that a run need not have.
 *
 * @returns undefined if there is no such file
 * @throws {RunError} if it exists but cannot be read
 */
export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const { cause } = error as RunError;
    if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

/**
 * Reads a JSON object.
 *
 * @returns undefined if there is no such file
 * @throws {RunError} if it cannot be read or holds no object
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
