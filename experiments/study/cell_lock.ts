import { hostname } from "node:os";
import { join } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { isOther } from "../run/contained.ts";
import { count, type FieldCheck, fieldProblem, optional, text } from "../run/field_checks.ts";
import type { Cell, Study } from "./study.ts";
import { makeStudyFolder } from "./study_folders.ts";
import type { CellOptions } from "./train_cell.ts";

/** Seconds between the signs of life of a holder, and after which one without a sign has lost its lock. */
const heartbeat = { everySeconds: 20, staleSeconds: 300 } as const;

/** What the lock of the plan is called; no id of a cell begins with a dot. */
const planId = ".plan";
/** Milliseconds between tries to lock the plan. */
const pauseMs = 50;

/** Who works on a cell. */
export interface Holder {
  /** Name of the machine; null where it may not be asked for. */
  readonly host: string | null;
  readonly pid: number;
  /** Since when, ISO 8601. */
  readonly since: string;
}

/** A cell that only this program may run, until the lock is disposed of. */
export interface CellLock extends Disposable {
  /** Aborted once another program has taken the lock over, because this one showed no sign of life for minutes. */
  readonly lost: AbortSignal;
}

/**
 * Locks a cell for this program alone, also where others use the folder from other machines. A lock is a file that is
 * created exclusively and held open with a lock of the system; its name ends with a generation. A lock whose holder has
 * died, or on another machine has shown no sign of life for five minutes, is taken over by creating the next generation,
 * which only one program can.
 *
 * @returns the lock, or who holds it; unknown where they have only just begun
 * @throws {RunError} if the folder cannot be written
 */
export async function tryLockCell(
  { folder }: Pick<Study, "folder">,
  { id }: Pick<Cell, "id">,
): Promise<CellLock | { readonly holder: Holder | undefined }> {
  const locks = await makeStudyFolder({ folder }, "locks");
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
      const file = await createNew(fileOf(locks, id, latest + 1));
      if (file) return await hold(file, locks, id, latest + 1, generations);
    }
  } catch (error) {
    throw error instanceof RunError
      ? error
      : new RunError(`Cannot lock ${id} in ${folder}: ${reasonOf(error)}`);
  }
}

/** Who holds a lock, in words. */
export function nameOf({ host, pid, since }: Partial<Holder> = {}): string {
  return pid === undefined ? "another program" : `process ${pid}${host ? ` on ${host}` : ""} since ${since}`;
}

/**
 * Waits for the lock under which the plan of a study is changed.
 *
 * @param say hears once who holds it, if that is not over in a moment
 * @returns undefined if it was stopped first
 * @throws {RunError} if the folder cannot be written
 */
export async function lockPlan(
  study: Pick<Study, "folder">,
  { say, signal }: Pick<CellOptions, "say" | "signal">,
): Promise<CellLock | undefined> {
  for (let tries = 1; !signal.aborted; tries++) {
    const lock = await tryLockCell(study, { id: planId });
    if ("lost" in lock) return lock;
    if (tries === 2) say(`Waiting until the plan of ${study.folder} is free: ${nameOf(lock.holder)} has it`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

const fileOf = (locks: string, id: string, generation: number) => join(locks, `${id}.${generation}`);

/** The generations of a cell's lock that there are, in order. */
async function generationsOf(locks: string, id: string): Promise<number[]> {
  const names = await Array.fromAsync(Deno.readDir(locks), ({ name }) => name);
  return names.filter((name) => name.startsWith(`${id}.`)).map((name) => Number(name.slice(id.length + 1)))
    .filter(Number.isSafeInteger).sort((a, b) => a - b);
}

async function createNew(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path, { read: true, write: true, createNew: true });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return undefined;
    throw error;
  }
}

async function hold(
  file: Deno.FsFile,
  locks: string,
  id: string,
  generation: number,
  earlier: readonly number[],
): Promise<CellLock> {
  await file.lock(true);
  const holder: Holder = { host: nameOfHost(), pid: Deno.pid, since: new Date().toISOString() };
  await file.write(new TextEncoder().encode(JSON.stringify(holder)));
  for (const old of earlier) await Deno.remove(fileOf(locks, id, old)).catch(() => {}); // its taker removed it
  const path = fileOf(locks, id, generation);
  const lost = new AbortController();
  const timer = setInterval(async () => {
    const generations = await generationsOf(locks, id).catch(() => []);
    if (generations.some((other) => other > generation)) lost.abort();
    else await Deno.utime(path, new Date(), new Date()).catch(() => {}); // the next sign may come through
  }, 1000 * heartbeat.everySeconds);
  Deno.unrefTimer(timer);
  let held = true;
  return {
    lost: lost.signal,
    [Symbol.dispose]() {
      if (!held) return;
      held = false;
      clearInterval(timer);
      try {
        Deno.removeSync(path);
      } catch { /* another program took it over and removed it */ }
      file.close();
    },
  };
}

const checks: Readonly<Record<keyof Holder, FieldCheck>> = { host: optional(text), pid: count, since: text };

/** The holder that a lock names; undefined if it names none, such as a lock that is not written yet. */
async function readHolder(path: string): Promise<Holder | "gone" | undefined> {
  try {
    if (isOther(path)) throw new RunError(`Cannot lock ${path}: it is not a file; remove it`);
    const holder = Object(JSON.parse(await Deno.readTextFile(path)));
    return fieldProblem(holder, checks) === undefined ? holder : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "gone";
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether the holder of a lock has died: on this machine its file is then free, elsewhere it shows no sign of life. */
async function isDead(path: string, holder: Holder | undefined): Promise<boolean> {
  try {
    if (holder?.host && holder.host === nameOfHost()) {
      using file = await Deno.open(path, { read: true });
      return await file.tryLock(true);
    }
    const { mtime } = await Deno.stat(path);
    return Date.now() - (mtime?.getTime() ?? 0) > 1000 * heartbeat.staleSeconds;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true; // it was released
    throw error;
  }
}

function nameOfHost(): string | null {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? hostname() : null;
}
