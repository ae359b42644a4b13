import { UserError } from "../../kernels/core/user_error.ts";
import { basename, dirname, join, resolve, sep } from "node:path";

/** A file of a run cannot be read or written. */
export class RunError extends UserError {
  override readonly name = "RunError";
}

/**
 * Writes a file atomically: it always holds either the old or the new content, even if several programs write it at
 * once. The content goes to a temporary file in the same folder, is flushed to disk, and is renamed.
 *
 * @throws {RunError} if the disk is full, the folder not writable, or the lock of its run lost; the old file is then
 *   unchanged
 */
export async function writeAtomic(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomicParts(path, [typeof content === "string" ? new TextEncoder().encode(content) : content]);
}

/**
 * Writes a file atomically from parts that are made while it is written.
 *
 * @throws as {@linkcode writeAtomic}, and what the parts throw
 */
export async function writeAtomicParts(
  path: string,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  checkGuards(path);
  const temporary = join(dirname(path), temporaryName(basename(path)));
  const fails = (error: unknown): never => {
    throw new RunError(`Cannot write ${path}: ${reasonOf(error)}; the file is unchanged`);
  };
  try {
    // `createNew`: never write through a link or into another program's file.
    {
      using file = await Deno.open(temporary, { write: true, createNew: true }).catch(fails);
      for await (const part of parts) await writeAll(file, part).catch(fails);
      await file.sync().catch(fails);
    }
    await Deno.rename(temporary, path).catch(fails);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // the first error is the one to report
    throw error;
  }
}

/** Writes a value as indented JSON, atomically. @throws as {@linkcode writeAtomic} */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeAtomic(path, JSON.stringify(value, null, 2) + "\n");
}

/**
 * Checks that a file to be written later has a folder, before the work that produces it.
 *
 * @throws {RunError} if the folder does not exist, or a folder has the file's name
 */
export async function checkFolderOf(path: string): Promise<void> {
  const folder = dirname(path);
  if (!await isFolder(folder)) {
    throw new RunError(`Cannot write ${path}: there is no folder ${folder}; make it first`);
  }
  if (await isFolder(path)) throw new RunError(`Cannot write ${path}: it is a folder (expected a file)`);
}

/** Checks before writing, by folder: only the holder of the folder's lock may write there. */
const guards = new Set<{ readonly folder: string; readonly check: () => void }>();

/**
 * Guards a folder of this program: `check` is called before a file in it is written, and may throw.
 *
 * @returns a function that ends the guard
 */
export function guardFolder(folder: string, check: () => void): () => void {
  const guard = { folder: resolve(folder) + sep, check };
  guards.add(guard);
  return () => guards.delete(guard);
}

/** Called before a file or folder is written. @throws {RunError} if the lock of its run is lost */
export function checkGuards(path: string): void {
  for (const { folder, check } of guards) if (resolve(path).startsWith(folder)) check();
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}

/** The name of the file that a temporary file was for; undefined for any other file. */
export function nameOfLeftover(temporary: string): string | undefined {
  return /^\.(.+)\.[0-9a-f]{32}\.tmp$/.exec(temporary)?.[1];
}

/** The reason of a file system error, as the end of a sentence. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOSPC") return "no space is left on the disk";
  const reason = error.message.split("\n")[0].replace(/^./, (letter) => letter.toLowerCase());
  if (!(error instanceof Deno.errors.NotCapable)) return reason;
  return reason.replace(
    /, run again.*/,
    " (see docs/security.md for what a task may do, and how to allow more)",
  );
}

/** A hidden name that cannot be guessed. */
function temporaryName(name: string): string {
  return `.${name}.${crypto.randomUUID().replaceAll("-", "")}.tmp`;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
}
