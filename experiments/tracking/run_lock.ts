import { join } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { runFile } from "../run/layout.ts";

const tries = 10;
const pauseMs = 50;

/** A run that only this program may write, until it is disposed of. */
export interface RunLock extends Disposable {
  readonly run: string;
}

/**
 * Takes a run for this program alone.
 *
 * @returns undefined if another program works on it
 * @throws {RunError} if the folder cannot be written
 */
export async function lockRun(run: string): Promise<RunLock | undefined> {
  const path = join(run, runFile.lock);
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { read: true, write: true, create: true });
  } catch (error) {
    throw new RunError(`Cannot lock ${run}: ${reasonOf(error)}`);
  }
  // `isLocked` of another program holds it for a moment.
  for (let left = tries; left > 0; left--) {
    if (await file.tryLock(true)) return { run, [Symbol.dispose]: () => file.close() };
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  file.close();
  return undefined;
}

/** Whether a program works on a run now. Needs no write permission. */
export async function isLocked(run: string): Promise<boolean> {
  try {
    using file = await Deno.open(join(run, runFile.lock), { read: true });
    return !(await file.tryLock(false));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new RunError(`Cannot see whether ${run} is at work: ${reasonOf(error)}`);
  }
}
