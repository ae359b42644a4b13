import { join } from "node:path";
import { nameOfLeftover, reasonOf, RunError } from "./atomic_write.ts";
import type { RunLock } from "./run_lock.ts";

/** Files that only the holder of a run's lock writes. */
const lockedFile = /\.(safetensors|json|jsonl)$/;

/**
 * Removes what earlier sessions of a run wrote of its files before they were killed.
 *
 * @throws {RunError} if the folder cannot be read or written
 */
export async function removeLeftovers({ run }: RunLock): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(run)) {
      if (lockedFile.test(nameOfLeftover(name) ?? "")) await Deno.remove(join(run, name));
    }
  } catch (error) {
    throw new RunError(`Cannot tidy up ${run}: ${reasonOf(error)}`);
  }
}
