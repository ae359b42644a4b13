import { join } from "node:path";
import { nameOfLeftover, reasonOf, RunError } from "./atomic_write.ts";
import { runFolder } from "./files.ts";
import { lockName, type RunLock } from "./run_lock.ts";

/**
 * Creates the folder of a new run and returns its path: `out`, or `runs/<YYYYMMDD-HHMMSS>-<name>`, with `-2` and so on
 * appended if that exists.
 *
 * @throws {RunError} if `out` is a file or a non-empty folder, or the folder cannot be created
 */
export async function createRunFolder(
  { name, out, root = "runs", startedAt }: {
    readonly name: string;
    readonly out?: string | null;
    readonly root?: string;
    readonly startedAt: Date;
  },
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
  await checkEmptyFolder(path, " as run folder", `; to continue an earlier run, use --resume ${path}`);
  return path;
}

/**
 * Checks that a folder is empty or missing, before it is filled; it may be locked.
 *
 * @param use text after its path in the error
 * @param advice text after the expectation in the error
 * @throws {RunError} if it holds something, or is a file
 */
export async function checkEmptyFolder(path: string, use = "", advice = ""): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(path)) {
      if (name.startsWith(lockName)) continue;
      throw new RunError(
        `Cannot use ${path}${use}: it holds ${name} (expected a new or empty folder${advice})`,
      );
    }
  } catch (error) {
    if (error instanceof RunError) throw error;
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new RunError(`Cannot use ${path}${use}: ${reasonOf(error)}`);
    }
  }
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

/** Files that only the holder of a run's lock may write. */
const lockedFile = /\.(safetensors|json|jsonl)$/;

/** Folders of a run that hold such files. */
const folders = [runFolder.flow, runFolder.weights, runFolder.pairs];

/** Removes temporary files of earlier sessions that were killed. @throws {RunError} if the folder cannot be changed */
export async function removeLeftovers({ run }: RunLock): Promise<void> {
  try {
    await removeFrom(run);
    for (const name of folders) {
      const folder = join(run, name);
      // Following a link could remove a file elsewhere.
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
