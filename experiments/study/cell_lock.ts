import { hostname } from "node:os";
import { join } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { isOther } from "../run/contained.ts";
import { type Checked, count, fieldsOf, orNull, textField } from "../run/field_checks.ts";
import { isAt } from "../run/run_lock.ts";
import { type Cell, makeStudyFolder, type Study } from "./study.ts";

/** Milliseconds between a holder's heartbeats, and until a holder without one loses its lock. */
const heartbeat = { everyMs: 20_000, staleMs: 300_000 } as const;

/** Id of the plan's lock; ids of cells never start with a dot. */
const planId = ".plan";

const holderCheck = fieldsOf({
  /** Name of the machine; null without permission to read it. */
  host: orNull(textField),
  pid: count,
  /** Start, ISO 8601. */
  since: textField,
});

/** The program that holds a lock. */
export type Holder = Checked<typeof holderCheck>;

/** A lock held by this program until it is disposed of. */
export interface CellLock extends Disposable {
  /** Aborted if another program takes the lock over after minutes without a heartbeat, or its file is deleted. */
  readonly lost: AbortSignal;
}

/**
 * Locks a cell for this program alone, even against programs on other machines that share the folder. A lock is a file
 * that is created exclusively and held open with a system lock; its name ends with a generation. If its holder has
 * died, or on another machine sent no heartbeat for five minutes, a program takes the lock over by creating the next
 * generation, which only one can do.
 *
 * @returns the lock, or its holder, which is unknown while the lock is being taken
 * @throws {RunError} if the folder cannot be written
 */
export async function tryLockCell(
  study: Pick<Study, "folder">,
  { id }: Pick<Cell, "id">,
): Promise<CellLock | { readonly holder: Holder | undefined }> {
  const locks = await makeStudyFolder(study, "locks");
  try {
    for (;;) {
      const generations = await generationsOf(locks, id);
      const latest = generations.at(-1) ?? 0;
      if (latest > 0) {
        const path = fileOf(locks, id, latest);
        const holder = await readHolder(path);
        if (holder === "gone") continue;
        if (!await isDead(path, holder)) return { holder };
      }
      const path = fileOf(locks, id, latest + 1);
      const file = await Deno.open(path, { read: true, write: true, createNew: true }).catch((error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      });
      if (!file) continue; // another program was faster
      await file.lock(true);
      const holder: Holder = { host: nameOfHost(), pid: Deno.pid, since: new Date().toISOString() };
      await file.write(new TextEncoder().encode(JSON.stringify(holder)));
      for (const old of generations) await Deno.remove(fileOf(locks, id, old)).catch(() => {}); // it may be gone
      return hold(file, locks, id, latest + 1);
    }
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(`Cannot lock ${id} in ${study.folder}: ${reasonOf(error)}`);
  }
}

/** `process 7 on login1 since 2026-01-01T00:00:00Z`. */
export function holderInWords({ host, pid, since }: Partial<Holder> = {}): string {
  return pid === undefined ? "another program" : `process ${pid}${host ? ` on ${host}` : ""} since ${since}`;
}

/**
 * Waits for the lock that guards the plan of a study.
 *
 * @param say called once with the holder, if it takes more than a moment
 * @returns undefined if the signal is aborted first
 * @throws {RunError} if the folder cannot be written
 */
export async function lockPlan(
  study: Pick<Study, "folder">,
  { say, signal }: { readonly say: (message: string) => void; readonly signal: AbortSignal },
): Promise<CellLock | undefined> {
  for (let tries = 1; !signal.aborted; tries++) {
    const lock = await tryLockCell(study, { id: planId });
    if ("lost" in lock) return lock;
    if (tries === 2) {
      say(`Waiting to change the plan of ${study.folder}: ${holderInWords(lock.holder)} is changing it`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const fileOf = (locks: string, id: string, generation: number) => join(locks, `${id}.${generation}`);

/** The generations of a cell's lock, in ascending order. */
async function generationsOf(locks: string, id: string): Promise<number[]> {
  const names = await Array.fromAsync(Deno.readDir(locks), ({ name }) => name);
  return names.filter((name) => name.startsWith(`${id}.`)).map((name) => Number(name.slice(id.length + 1)))
    .filter(Number.isSafeInteger).sort((a, b) => a - b);
}

/** Sends heartbeats until the lock is disposed of. */
function hold(file: Deno.FsFile, locks: string, id: string, generation: number): CellLock {
  const path = fileOf(locks, id, generation);
  const lost = new AbortController();
  const timer = setInterval(async () => {
    const generations = await generationsOf(locks, id).catch(() => []);
    if (!isStill(file, path) || generations.some((other) => other > generation)) lost.abort();
    else await Deno.utime(path, new Date(), new Date()).catch(() => {}); // the next one may succeed
  }, heartbeat.everyMs);
  Deno.unrefTimer(timer);
  let held = true;
  return {
    lost: lost.signal,
    [Symbol.dispose]() {
      if (!held) return;
      held = false;
      clearInterval(timer);
      try {
        if (isStill(file, path)) Deno.removeSync(path);
      } catch { /* another program took it over and removed it */ }
      file.close();
    },
  };
}

/** Whether a path still names a lock's file, also if that cannot be seen for a moment. */
function isStill(file: Deno.FsFile, path: string): boolean {
  try {
    return isAt(file, path);
  } catch {
    return true;
  }
}

/** The holder that a lock names; undefined if it is not written yet, or damaged. */
async function readHolder(path: string): Promise<Holder | "gone" | undefined> {
  try {
    if (isOther(path)) throw new RunError(`Cannot lock ${path}: it is not a file; remove it`);
    const holder = JSON.parse(await Deno.readTextFile(path));
    return holderCheck.accepts(holder) ? holder : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "gone";
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether the holder of a lock has died: on this machine its file is unlocked, elsewhere it sends no heartbeat. */
async function isDead(path: string, holder: Holder | undefined): Promise<boolean> {
  try {
    if (holder?.host && holder.host === nameOfHost()) {
      using file = await Deno.open(path, { read: true });
      return await file.tryLock(true);
    }
    const { mtime } = await Deno.stat(path);
    return Date.now() - (mtime?.getTime() ?? 0) > heartbeat.staleMs;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true; // it was released
    throw error;
  }
}

function nameOfHost(): string | null {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? hostname() : null;
}
