/** A file of a run cannot be read or written. */
export class RunError extends Error {
  override readonly name = "RunError";
}

/**
 * Writes a file atomically: at any time it holds either the old or the new content. The content goes to a temporary file
 * beside it, is flushed to disk, then renamed. There must be one writer per file.
 *
 * @throws {RunError} if the disk is full or the folder not writable; the old file is then as it was
 */
export async function writeAtomic(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    await writeFlushed(temporary, typeof content === "string" ? new TextEncoder().encode(content) : content);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // the first error is the one to report
    throw new RunError(`Cannot write ${path}: ${reasonOf(error)}; the file is unchanged`);
  }
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

async function writeFlushed(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
  await file.sync();
}
