import { UserError } from "../../kernels/core/user_error.ts";
import { basename, dirname, join } from "node:path";

/** A file of a run cannot be read or written. */
export class RunError extends UserError {
  override readonly name = "RunError";
}

/**
 * Writes a file atomically: at any time it holds either the old or the new content, also where several programs write it
 * at once. The content goes to a temporary file of a new name in the same folder, is flushed to disk, then renamed.
 *
 * @throws {RunError} if the disk is full or the folder not writable; then the old file is unchanged
 */
export async function writeAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), temporaryName(basename(path)));
  try {
    await writeFlushed(temporary, typeof content === "string" ? new TextEncoder().encode(content) : content);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // the first error is the one to report
    throw new RunError(`Cannot write ${path}: ${reasonOf(error)}; the file is unchanged`);
  }
}

/**
 * Checks that a file that is yet to be made has a folder to go to, before the work that makes it.
 *
 * @throws {RunError} if it has none, or a folder of its name lies there
 */
export async function checkFolderOf(path: string): Promise<void> {
  const folder = dirname(path);
  if (!await isFolder(folder)) {
    throw new RunError(`Cannot write ${path}: there is no folder ${folder}; make it first`);
  }
  if (await isFolder(path)) throw new RunError(`Cannot write ${path}: it is a folder (expected a file)`);
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}

/** What a program that was killed leaves behind of a file: its name without the dot and the random end. */
export function nameOfLeftover(temporary: string): string | undefined {
  return /^\.(.+)\.[0-9a-f]{32}\.tmp$/.exec(temporary)?.[1];
}

/** The reason that an error of the file system gives, for the end of a sentence. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOSPC") return "no space is left on the disk";
  const reason = error.message.split("\n")[0].replace(/^./, (letter) => letter.toLowerCase());
  if (!(error instanceof Deno.errors.NotCapable)) return reason;
  return reason.replace(
    /, run again.*/,
    " (docs/security.md says what a task may do, and how to allow more)",
  );
}

/** A hidden name that nobody can guess. */
function temporaryName(name: string): string {
  return `.${name}.${crypto.randomUUID().replaceAll("-", "")}.tmp`;
}

async function writeFlushed(path: string, bytes: Uint8Array): Promise<void> {
  // Exclusively: never through a link or into another program's file.
  using file = await Deno.open(path, { write: true, createNew: true });
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
  await file.sync();
}
