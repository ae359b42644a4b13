import { dirname, isAbsolute, join, relative } from "node:path";
import { checkGuards, reasonOf, RunError } from "./atomic_write.ts";
import { type FieldCheck, fieldProblem, type Fields } from "./field_checks.ts";

/**
 * Finds a file of a run folder; undefined if there is none. Run folders may come from anyone, so their files are opened
 * only through this function: links must stay inside, and a pipe or device, which could block a reader forever, is
 * refused before it is opened.
 *
 * @param folder the folder that must contain it; by default the file's own
 * @throws {RunError} if it lies outside the folder, is not a regular file, or cannot be inspected
 */
export function findContained(path: string, folder: string = dirname(path)): ContainedFile | undefined {
  try {
    const inside = relative(Deno.realPathSync(folder), Deno.realPathSync(path));
    if (inside === "" || inside.split(/[\\/]/)[0] === ".." || isAbsolute(inside)) {
      throw new RunError(`Cannot read ${path}: it leads out of the folder ${folder} (expected a file in it)`);
    }
    const { isFile, isDirectory, size, dev, ino } = Deno.statSync(path);
    if (isFile) return { size, dev, ino };
    const what = isDirectory ? "a folder" : "a pipe or a device";
    throw new RunError(`Cannot read ${path}: it is ${what} (expected a file)`);
  } catch (error) {
    if (error instanceof RunError) throw error;
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw new RunError(`Cannot read ${path}: ${reasonOf(error)}`);
  }
}

/** A regular file in a folder. */
export interface ContainedFile {
  /** Size in bytes. */
  readonly size: number;
  readonly dev: number;
  readonly ino: number | null;
}

/** Opens a file for reading, see {@linkcode findContained}. @throws {RunError} if it must not or cannot be opened */
export async function openContained(path: string, folder?: string): Promise<Deno.FsFile | undefined> {
  const entry = findContained(path, folder);
  if (entry === undefined) return undefined;
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path);
    const { isFile, dev, ino } = await file.stat();
    // A program that writes the run replaces files by renaming, so a different file may be fine, but a link is not.
    if (isFile && (dev === entry.dev && ino === entry.ino || findContained(path, folder)?.ino === ino)) {
      return file;
    }
    throw new RunError(`Cannot read ${path}: another file has replaced it in the meantime; try again`);
  } catch (error) {
    file?.close();
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error instanceof RunError ? error : new RunError(`Cannot read ${path}: ${reasonOf(error)}`);
  }
}

/**
 * Whether a path holds something that is not a regular file. Checked before writing: a link would let it write a file
 * elsewhere, and a pipe would block forever. False if it cannot be inspected; opening it then gives the reason.
 */
export function isNotRegularFile(path: string): boolean {
  try {
    return !Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}

/** Creates a folder in a run folder if it is missing. @throws {RunError} if it cannot be created, or is a link */
export async function makeContainedFolder(run: string, name: string): Promise<void> {
  const path = join(run, name);
  checkGuards(path);
  try {
    await Deno.mkdir(path, { recursive: true });
    if (relative(await Deno.realPath(run), await Deno.realPath(path)) === name) return;
  } catch (error) {
    throw new RunError(`Cannot make ${path}: ${reasonOf(error)}`);
  }
  throw new RunError(`Cannot write to ${path}: it is a link (expected a folder)`);
}

/** Reads a file of a run, see {@linkcode findContained}. @throws {RunError} if it is missing or cannot be read */
export async function readFile(path: string, folder?: string): Promise<Uint8Array> {
  const bytes = await readIfThere(path, folder);
  if (bytes !== undefined) return bytes;
  throw new RunError(`Cannot read ${path}: there is no such file`);
}

/** Reads a file of a run; undefined if there is none. @throws {RunError} if it exists but cannot be read */
export async function readIfThere(
  path: string,
  folder?: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const file = await openContained(path, folder);
  return file && await new Response(file.readable).bytes();
}

/**
 * Reads a JSON object; undefined if there is no such file.
 *
 * @throws {RunError} if it cannot be read, or is not an object
 */
export async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch { /* not JSON */ }
  throw new RunError(`Cannot read ${path}: it is not a JSON object; restore the file from a backup`);
}

/**
 * Reads a JSON object whose fields pass checks; undefined if there is no such file.
 *
 * @param advice what to do if one does not, such as `restore the file from a backup`
 * @param defaults values of missing fields
 * @throws {RunError} if it cannot be read, or a field does not pass
 */
export async function readFields<Checks extends Readonly<Record<string, FieldCheck>>>(
  path: string,
  checks: Checks,
  advice: string,
  defaults: Partial<Fields<Checks>> = {},
): Promise<Fields<Checks> | undefined> {
  const saved = await readJson(path);
  if (saved === undefined) return undefined;
  const json = { ...defaults, ...saved };
  const problem = fieldProblem(json, checks);
  if (problem === undefined) return json as unknown as Fields<Checks>;
  throw new RunError(`Cannot read ${path}: ${problem}; ${advice}`);
}

/** SHA-256 of bytes, as 64 hex digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
