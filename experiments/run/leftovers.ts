import { join } from "node:path";
import { nameOfLeftover, reasonOf, RunError } from "./atomic_write.ts";
import { runFolder } from "./layout.ts";
import type { RunLock } from "./run_lock.ts";

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
