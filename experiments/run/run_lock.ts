import { join } from "node:path";
import { guardFolder, reasonOf, RunError } from "./atomic_write.ts";
import { isOther } from "./contained.ts";
import { runFile } from "./layout.ts";

const briefMs = 500;
const pauseMs = 50;

/**
 * A run that only this program may write until the lock is disposed of (twice does no harm). The system releases it
 * when the program ends, even by a kill. If the folder is deleted, this program writes nothing more there, even if a
 * folder of that name is made anew.
 */
export interface RunLock extends Disposable {
  /** The run's folder. */
  readonly run: string;
}

/**
 * Locks a run for this program alone.
 *
 * @param waitMs how long to wait for another program; by default long enough for one that only checks the lock
 * @returns undefined if another program is working on the run
 * @throws {RunError} if the folder cannot be written
 */
export async function tryLockRun(run: string, { waitMs = briefMs } = {}): Promise<RunLock | undefined> {
  // `isLocked` in another program holds the lock for a moment.
  for (let left = Math.ceil(waitMs / pauseMs); left > 0; left--) {
    checkLock(run);
    const file = await openLock(run);
    if (await file.tryLock(true) && holdsLock(file, run)) return lockOf(run, file);
    file.close();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return undefined;
}

async function openLock(run: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(join(run, runFile.lock), { read: true, write: true, create: true });
  } catch (error) {
    throw new RunError(`Cannot lock ${run}: ${reasonOf(error)}`);
  }
}

/** Whether a path still names an open file: its folder may have been deleted, and made anew by another program. */
export function isAt(file: Deno.FsFile, path: string): boolean {
  const { dev, ino } = file.statSync();
  try {
    const there = Deno.lstatSync(path);
    return there.dev === dev && there.ino === ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether a run's lock file is still the one at its path. */
function holdsLock(lock: Deno.FsFile, run: string): boolean {
  try {
    return isAt(lock, join(run, runFile.lock));
  } catch (error) {
    throw new RunError(`Cannot check the lock of ${run}: ${reasonOf(error)}`);
  }
}

/**
 * Locks a run for this program alone. Take the lock before reading anything that another program may be writing.
 *
 * @throws {RunError} if another program is working on the run, or the folder cannot be written
 */
export async function lockRun(run: string): Promise<RunLock> {
  const lock = await tryLockRun(run);
  if (lock !== undefined) return lock;
  throw new RunError(
    `Cannot write ${run}: another program is training or sending this run; wait until it ends`,
  );
}

/** Whether a program is working on a run. Needs no write permission. */
export async function isLocked(run: string): Promise<boolean> {
  checkLock(run);
  try {
    using file = await Deno.open(join(run, runFile.lock), { read: true });
    return !(await file.tryLock(false));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new RunError(`Cannot see whether a program works on ${run}: ${reasonOf(error)}`);
  }
}

function checkLock(run: string): void {
  if (!isOther(join(run, runFile.lock))) return;
  throw new RunError(`Cannot lock ${run}: ${runFile.lock} in it is not a file; remove it`);
}

function lockOf(run: string, file: Deno.FsFile): RunLock {
  const endGuard = guardFolder(run, () => {
    if (holdsLock(file, run)) return;
    throw new RunError(
      `Cannot write to ${run}: it was deleted or replaced while this program was working on it ` +
        "(nothing more is written there; start again)",
    );
  });
  let held = true;
  return {
    run,
    [Symbol.dispose]() {
      if (held) file.close();
      held = false;
      endGuard();
    },
  };
}

/**
 * Runs work while no other program or worker runs such work for the same folder. The system releases the folder when
 * the program ends, even by a kill.
 *
 * @param folder an existing folder
 */
export async function inTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
  using turn = await Deno.open(folder, { read: true });
  await turn.lock(true);
  return await work();
}
