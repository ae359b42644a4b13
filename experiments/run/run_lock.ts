import { hostname } from "node:os";
import { join } from "node:path";
import { guardFolder, reasonOf, RunError } from "./atomic_write.ts";
import { isNotRegularFile } from "./contained.ts";

/** The file of a run's lock, followed by a generation: `.lock.1`. */
export const lockName = ".lock";

/** Milliseconds between a holder's heartbeats, and until a holder on another machine without one loses its lock. */
const heartbeat = { everyMs: 20_000, staleMs: 300_000 } as const;

/** The program that holds a lock; the host is empty without permission to read it. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Start, ISO 8601. */
  readonly since: string;
}

/** A lock held by this program until it is disposed of (twice does no harm) or ends, even by a kill. */
export interface Lock extends Disposable {
  /** Aborted if another program takes the lock over after minutes without a heartbeat, or its file is deleted. */
  readonly lost: AbortSignal;
  /** Whether the lock's file is still at its path. @throws if that cannot be checked */
  readonly isHeld: () => boolean;
}

/**
 * Takes a lock for this program alone, even against programs on other machines that share the folder. A lock is a file
 * that is created exclusively and held open with a system lock; its name ends with a generation. If its holder has
 * died, or on another machine sent no heartbeat for five minutes, a program takes the lock over by creating the next
 * generation, which only one can do.
 *
 * @param name of the file, without its generation
 * @returns the lock, or its holder, which is unknown while the lock is being taken
 * @throws {RunError} if the folder cannot be written
 */
export async function tryLock(
  folder: string,
  name: string,
): Promise<Lock | { readonly holder: Holder | undefined }> {
  try {
    for (;;) {
      const generations = await generationsOf(folder, name);
      const latest = generations.at(-1) ?? 0;
      const path = fileOf(folder, name, latest + 1);
      const holder = await liveHolder(folder, name, latest);
      if (holder !== "none") return { holder };
      const file = await Deno.open(path, { read: true, write: true, createNew: true }).catch((error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      });
      if (!file) continue; // another program was faster
      await file.lock(true);
      const written = `${nameOfHost()} ${Deno.pid} ${new Date().toISOString()}`;
      await file.write(new TextEncoder().encode(written)).catch(async (error) => {
        file.close();
        await Deno.remove(path); // an empty file would keep others waiting
        throw error;
      });
      for (const old of generations) await Deno.remove(fileOf(folder, name, old)).catch(() => {}); // it may be gone
      if (isAt(file, path)) return hold(file, folder, name, latest + 1);
      file.close(); // the folder was recreated in the meantime
    }
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot lock ${name} in ${folder}: ${reasonOf(error)}`);
  }
}

/**
 * Waits for a lock.
 *
 * @param onWait called once with the holder, if it takes more than a moment
 * @returns undefined if the signal is aborted first
 * @throws {RunError} if the folder cannot be written
 */
export async function waitForLock(
  folder: string,
  name: string,
  signal?: AbortSignal,
  onWait: (holder: string) => void = () => {},
): Promise<Lock | undefined> {
  for (let tries = 1; !signal?.aborted; tries++) {
    const lock = await tryLock(folder, name);
    if ("lost" in lock) return lock;
    if (tries === 2) onWait(formatHolder(lock.holder));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** `process 7 on login1 since 2026-01-01T00:00:00Z`. */
export function formatHolder(holder: Holder | undefined): string {
  if (holder === undefined) return "another program";
  return `process ${holder.pid}${holder.host && ` on ${holder.host}`} since ${holder.since}`;
}

/** The path of a lock's generation. */
const fileOf = (folder: string, name: string, generation: number) => join(folder, `${name}.${generation}`);

/** The generations of a lock, in ascending order. */
async function generationsOf(folder: string, name: string): Promise<number[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return names.filter((file) => file.startsWith(`${name}.`)).map((file) =>
    Number(file.slice(name.length + 1))
  )
    .filter(Number.isSafeInteger).sort((a, b) => a - b);
}

/** The program that holds a generation; undefined if its file is not written yet, "none" if it has died. */
async function liveHolder(
  folder: string,
  name: string,
  generation: number,
): Promise<Holder | undefined | "none"> {
  if (generation === 0) return "none";
  const path = fileOf(folder, name, generation);
  if (isNotRegularFile(path)) throw new RunError(`Cannot lock ${path}: it is not a file; remove it`);
  try {
    const [, host, pid, since] = /^(\S*) (\d+) (\S+)$/.exec(await Deno.readTextFile(path)) ?? [];
    const holder = since === undefined ? undefined : { host, pid: Number(pid), since };
    const here = nameOfHost();
    if (holder && (host === here || host === "" || here === "")) {
      using file = await Deno.open(path, { read: true });
      return await file.tryLock(false) ? "none" : holder; // shared: programs that only look do not disturb each other
    }
    const { mtime } = await Deno.stat(path);
    return Date.now() - (mtime?.getTime() ?? 0) > heartbeat.staleMs ? "none" : holder;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "none"; // it was released
    throw error;
  }
}

/** Sends heartbeats until the lock is disposed of. */
function hold(file: Deno.FsFile, folder: string, name: string, generation: number): Lock {
  const path = fileOf(folder, name, generation);
  const lost = new AbortController();
  const timer = setInterval(async () => {
    try {
      const generations = await generationsOf(folder, name).catch(() => [0]); // the folder may be deleted
      if (!isAt(file, path) || generations.some((other) => other > generation)) lost.abort();
      else await Deno.utime(path, new Date(), new Date());
    } catch { /* the folder may be unreachable for a moment; the next heartbeat may succeed */ }
  }, heartbeat.everyMs);
  Deno.unrefTimer(timer);
  let held = true;
  return {
    lost: lost.signal,
    isHeld: () => isAt(file, path),
    [Symbol.dispose]() {
      if (!held) return;
      held = false;
      clearInterval(timer);
      try {
        if (isAt(file, path)) Deno.removeSync(path);
      } catch { /* another program took it over and removed it */ }
      file.close();
    },
  };
}

/** Whether a path still names an open file: its folder may have been deleted, and recreated by another program. */
function isAt(file: Deno.FsFile, path: string): boolean {
  const { dev, ino } = file.statSync();
  try {
    const there = Deno.lstatSync(path);
    return there.dev === dev && there.ino === ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function nameOfHost(): string {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? hostname() : "";
}

/** A run that only this program may write; if its lock is lost, this program writes nothing more there. */
export interface RunLock extends Disposable {
  /** The run's folder. */
  readonly run: string;
}

/**
 * Locks a run for this program alone.
 *
 * @param waitMs how long to wait for another program
 * @returns undefined if another program is working on the run
 * @throws {RunError} if the folder cannot be written
 */
export async function tryLockRun(run: string, { waitMs = 0 } = {}): Promise<RunLock | undefined> {
  const lock = waitMs > 0
    ? await waitForLock(run, lockName, AbortSignal.timeout(waitMs))
    : await tryLock(run, lockName);
  if (lock === undefined || "holder" in lock) return undefined;
  const endGuard = guardFolder(run, () => {
    if (lock.isHeld()) return;
    throw new RunError(
      `Cannot write to ${run}: it was deleted or replaced while this program was working on it ` +
        "(nothing more is written there; start again)",
    );
  });
  return { run, [Symbol.dispose]: () => (endGuard(), lock[Symbol.dispose]()) };
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

/** Whether a program is working on a run. Needs no write permission. @throws {RunError} if that cannot be checked */
export async function isLocked(run: string): Promise<boolean> {
  try {
    const generations = await generationsOf(run, lockName);
    return await liveHolder(run, lockName, generations.at(-1) ?? 0) !== "none";
  } catch (error) {
    if (error instanceof RunError) throw error;
    if (error instanceof Deno.errors.NotFound) return false;
    throw new RunError(`Cannot check whether a program is working on ${run}: ${reasonOf(error)}`);
  }
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
