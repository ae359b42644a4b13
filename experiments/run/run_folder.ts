import { join } from "node:path";
import { nameOfLeftover, reasonOf, RunError, writeAtomic } from "./atomic_write.ts";
import { runFolder } from "./layout.ts";
import type { RunLock } from "./run_lock.ts";

export { RunError, writeAtomic };

/** Where the files of a new run go. */
export interface RunFolderOptions {
  /** End of the folder's name, unless `out` gives it. */
  readonly name: string;
  /** The folder itself, created if missing. */
  readonly out?: string | null;
  /** The folder of all runs, default `runs`. */
  readonly root?: string;
  /** Start of the folder's name, in local time. */
  readonly startedAt: Date;
}

/**
 * Creates the folder of a new run: `out`, or `runs/<YYYYMMDD-HHMMSS>-<name>`, followed by `-2` and so on if that exists.
 *
 * @returns the folder's path
 * @throws {RunError} if `out` is a file or a folder that is not empty, or the folder cannot be created
 */
export async function createRunFolder(
  { name, out, root = "runs", startedAt }: RunFolderOptions,
): Promise<string> {
  const path = out ?? join(root, `${timestamp(startedAt)}-${name}`);
  try {
    if (typeof out === "string") return await takeEmptyFolder(out);
    await Deno.mkdir(root, { recursive: true });
    return await makeNewFolder(path);
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot create the run folder ${path}: ${reasonOf(error)}`);
  }
}

async function takeEmptyFolder(path: string): Promise<string> {
  await Deno.mkdir(path, { recursive: true });
  for await (const { name } of Deno.readDir(path)) {
    throw new RunError(
      `Cannot use ${path} as run folder: it holds ${name} (expected a new or empty folder; ` +
        `to continue an earlier run, use --resume ${path})`,
    );
  }
  return path;
}

async function makeNewFolder(path: string): Promise<string> {
  for (let count = 1;; count++) {
    const numbered = count === 1 ? path : `${path}-${count}`;
    try {
      await Deno.mkdir(numbered);
      return numbered;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

function timestamp(time: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const date = `${time.getFullYear()}${two(time.getMonth() + 1)}${two(time.getDate())}`;
  return `${date}-${two(time.getHours())}${two(time.getMinutes())}${two(time.getSeconds())}`;
}

/** Files that only the holder of a run's lock writes. */
const lockedFile = /\.(safetensors|json|jsonl)$/;

/** Folders of such files in a run. */
const folders = [runFolder.flow, runFolder.weights];

/**
 * Removes what earlier sessions of a run wrote of its files before they were killed.
 *
 * @throws {RunError} if the folder cannot be read or written
 */
export async function removeLeftovers({ run }: RunLock): Promise<void> {
  try {
    await removeFrom(run);
    for (const name of folders) {
      const folder = join(run, name);
      // Through a link a file elsewhere would be removed.
      const isOwn = await Deno.lstat(folder).then(({ isDirectory }) => isDirectory, () => false);
      if (isOwn) await removeFrom(folder);
    }
  } catch (error) {
    throw new RunError(`Cannot tidy up ${run}: ${reasonOf(error)}`);
  }
}

async function removeFrom(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (lockedFile.test(nameOfLeftover(name) ?? "")) await Deno.remove(join(folder, name));
  }
}
