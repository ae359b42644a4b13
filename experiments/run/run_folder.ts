/** A run's folder: how its files are read, written atomically, and locked for one program. */

import { hostname } from "node:os";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { UserError } from "../../kernels/core/checks.ts";
import { type FieldCheck, fieldProblem, type Fields, isObject } from "./field_checks.ts";

/** A file of a run cannot be read or written: thrown by every function that touches one. */
export class RunError extends UserError {
  override readonly name = "RunError";
}

/** The reason of a file system error, as the end of a sentence. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOSPC") return "no space is left on the disk";
  const reason = error.message.split("\n")[0].replace(/^./, (letter) => letter.toLowerCase());
  if (!(error instanceof Deno.errors.NotCapable)) return reason;
  return reason.replace(
    /, run again.*/,
    " (see docs/security.md for what a task may do, and how to allow more)",
  );
}

/**
 * Finds a file of a run folder; undefined if there is none. Files may name others, a line of metrics its picture for
 * example, so a path must stay inside the folder, links followed.
 *
 * @param folder the folder that must contain it; by default the file's own
 * @throws {RunError} if it lies outside the folder, is not a file, or cannot be inspected
 */
export function findContained(path: string, folder: string = dirname(path)): Deno.FileInfo | undefined {
  try {
    const inside = relative(Deno.realPathSync(folder), Deno.realPathSync(path));
    if (inside.split(/[\\/]/)[0] === ".." || isAbsolute(inside)) {
      throw new RunError(`Cannot read ${path}: it leads out of the folder ${folder} (expected a file in it)`);
    }
    const info = Deno.statSync(path);
    if (info.isFile) return info;
    throw new RunError(`Cannot read ${path}: it is ${info.isDirectory ? "a folder" : "no file"}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error instanceof RunError ? error : new RunError(`Cannot read ${path}: ${reasonOf(error)}`);
  }
}

/** Opens a file for reading; undefined if there is none. */
export async function openContained(path: string, folder?: string): Promise<Deno.FsFile | undefined> {
  if (findContained(path, folder) === undefined) return undefined;
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined; // deleted since
    throw new RunError(`Cannot read ${path}: ${reasonOf(error)}`);
  }
}

/** Reads a file of a run, see {@linkcode findContained}. */
export async function readFile(path: string, folder?: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readIfThere(path, folder);
  if (bytes !== undefined) return bytes;
  throw new RunError(`Cannot read ${path}: there is no such file`);
}

/** Reads a file of a run; undefined if there is none. */
export async function readIfThere(
  path: string,
  folder?: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const file = await openContained(path, folder);
  return file && await new Response(file.readable).bytes();
}

/** Reads a JSON object; undefined if there is no such file. */
export async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isObject(value)) return { ...value };
  } catch { /* not JSON */ }
  throw new RunError(`Cannot read ${path}: it is not a JSON object; restore the file from a backup`);
}

/**
 * Reads a JSON object whose fields pass checks; undefined if there is no such file.
 *
 * @param advice what to do if one does not, such as `restore the file from a backup`
 * @param defaults values of missing fields
 */
export async function readFields<Checks extends Readonly<Record<string, FieldCheck>>>(
  path: string,
  checks: Checks,
  advice: string,
  defaults: Partial<Fields<Checks>> = {},
): Promise<Fields<Checks> | undefined> {
  const saved = await readJson(path);
  if (saved === undefined) return undefined;
  const json = { ...defaults, ...saved };
  const problem = fieldProblem(json, checks);
  if (problem === undefined) return json as unknown as Fields<Checks>;
  throw new RunError(`Cannot read ${path}: ${problem}; ${advice}`);
}

/** SHA-256 of bytes, as 64 hex digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * Writes a file atomically: it always holds either the old or the new content, even if several programs write it at
 * once. The content goes to a temporary file in the same folder, is flushed to disk, and is renamed.
 *
 * @throws {RunError} if the disk is full, the folder not writable, or the lock of its run lost; an old file is then
 *   unchanged
 */
export async function writeAtomic(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomicParts(path, [typeof content === "string" ? new TextEncoder().encode(content) : content]);
}

/** Writes a file atomically from parts that are made while it is written. */
export async function writeAtomicParts(
  path: string,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  checkHeld(path);
  const unique = crypto.randomUUID().replaceAll("-", "");
  const temporary = join(dirname(path), `.${basename(path)}.${unique}.tmp`);
  const fails = async (error: unknown): Promise<never> => {
    const unchanged = await Deno.lstat(path).then(() => "; the file is unchanged", () => "");
    throw new RunError(`Cannot write ${path}: ${reasonOf(error)}${unchanged}`);
  };
  try {
    {
      using file = await Deno.open(temporary, { write: true, createNew: true }).catch(fails);
      for await (const part of parts) await writeAll(file, part).catch(fails);
      await file.sync().catch(fails);
    }
    await Deno.rename(temporary, path).catch(fails);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // the first error is the one to report
    throw error;
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
}

/** Writes a value as indented JSON, atomically. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeAtomic(path, JSON.stringify(value, null, 2) + "\n");
}

/** Checks that a folder can be written, or the nearest one above it that exists, before the work that fills it. */
async function checkWritable(path: string): Promise<void> {
  let folder = resolve(path);
  while (!await Deno.stat(folder).catch(() => undefined) && folder !== dirname(folder)) {
    folder = dirname(folder);
  }
  try {
    await Deno.remove(await Deno.makeTempFile({ dir: folder, prefix: ".", suffix: ".tmp" }));
  } catch (error) {
    throw new RunError(`Cannot write to the folder ${path}: ${reasonOf(error)}`);
  }
}

/** Checks that a file to be written later has a folder, before the work that produces it. */
export async function checkFolderOf(path: string): Promise<void> {
  const isFolder = (path: string) => Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
  const folder = dirname(path);
  if (!await isFolder(folder)) {
    throw new RunError(`Cannot write ${path}: there is no folder ${folder}; make it first`);
  }
  if (await isFolder(path)) throw new RunError(`Cannot write ${path}: it is a folder (expected a file)`);
  await checkWritable(folder);
}

/** Creates a folder in a run folder if it is missing. */
export async function makeFolder(run: string, name: string): Promise<void> {
  const path = join(run, name);
  checkHeld(path);
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw new RunError(`Cannot make ${path}: ${reasonOf(error)}`);
  }
}

/**
 * Creates the folder of a new run and returns its path: `out`, or `runs/<YYYYMMDD-HHMMSS>-<name>`, with `-2` and so on
 * appended if that exists.
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
    if (typeof out !== "string") {
      await Deno.mkdir(root, { recursive: true });
      return await makeNewFolder(path);
    }
    await Deno.mkdir(out, { recursive: true });
  } catch (error) {
    throw new RunError(`Cannot create the run folder ${path}: ${reasonOf(error)}`);
  }
  await checkEmptyFolder(out, " as run folder", `; to continue an earlier run, use --resume ${out}`);
  return out;
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

/**
 * Checks that a folder is empty or missing and can be written, before it is filled; it may be locked.
 *
 * @param use text after its path in the error
 * @param advice text after the expectation in the error
 */
export async function checkEmptyFolder(path: string, use = "", advice = ""): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(path), ({ name }) => name).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`Cannot use ${path}${use}: ${reasonOf(error)}`);
  });
  const found = names.find((name) => name !== lockName);
  if (found === undefined) return await checkWritable(path);
  throw new RunError(
    `Cannot use ${path}${use}: it holds ${found} (expected a new or empty folder${advice})`,
  );
}

/** Removes temporary files of earlier sessions that were killed. */
export async function removeLeftovers({ run }: RunLock): Promise<void> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(run));
    const folders = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => join(run, name));
    for (const folder of [run, ...folders]) {
      for await (const { name } of Deno.readDir(folder)) {
        // Other files may be written without the lock, a report for example.
        const isLocked = /^\..+\.(safetensors|json|jsonl)\.[0-9a-f]{32}\.tmp$/.test(name);
        if (isLocked) await Deno.remove(join(folder, name));
      }
    }
  } catch (error) {
    throw new RunError(`Cannot tidy up ${run}: ${reasonOf(error)}`);
  }
}

/** The file of a run's lock. */
export const lockName = ".lock";

/** The program that holds a lock; the host is empty without permission to read it. */
interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Start, ISO 8601. */
  readonly since: string;
}

/** A lock held by this program until it is disposed of (twice does no harm) or ends, even by a kill. */
export interface Lock extends Disposable {
  /** Whether the lock's file is still there and this program's: its folder may have been deleted, and made anew. */
  readonly isHeld: () => boolean;
}

/**
 * Takes a lock for this program alone: a file that names the program, held open with a system lock, which ends with the
 * program. So the file of a dead program of this machine is taken over, and that of another machine is left alone.
 *
 * @param name of the file
 * @returns the lock, or its holder, which is unknown while the lock is being taken
 */
export async function tryLock(
  folder: string,
  name: string,
): Promise<Lock | { readonly holder: Holder | undefined }> {
  const path = join(folder, name);
  const own = `${nameOfHost()} ${Deno.pid} ${new Date().toISOString()} ${crypto.randomUUID()}`;
  const isOwn = () => textOf(path) === own;
  try {
    for (let tries = 1;; tries++) {
      using opened = new DisposableStack();
      const file = opened.use(await Deno.open(path, { read: true, write: true, create: true }));
      const isFree = await file.tryLock(true);
      const holder = holderIn(textOf(path));
      if (isElsewhere(holder) || !isFree && tries > 1) return { holder };
      if (isFree) {
        opened.defer(() => {
          try {
            // By what is in it: the folder may have been made anew, and locked by another program.
            if (own.startsWith(textOf(path))) Deno.removeSync(path);
          } catch { /* it is gone already, or stays for the next program to take over */ }
        });
        await file.truncate();
        await writeAll(file, new TextEncoder().encode(own));
        if (isOwn()) {
          const lock = opened.move();
          return { isHeld: isOwn, [Symbol.dispose]: () => lock.dispose() };
        }
      }
      await pause(); // the former holder has just removed the file, or `isLocked` looks at it
    }
  } catch (error) {
    throw new RunError(`Cannot lock ${name} in ${folder}: ${reasonOf(error)}`);
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

/** The text of a lock's file; empty without one. */
function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return "";
    throw error;
  }
}

function holderIn(text: string): Holder | undefined {
  const [, host, pid, since] = /^(\S*) (\d+) (\S+) \S+$/.exec(text) ?? [];
  return since === undefined ? undefined : { host, pid: Number(pid), since };
}

function isElsewhere(holder: Holder | undefined): boolean {
  const here = nameOfHost();
  return holder !== undefined && holder.host !== here && holder.host !== "" && here !== "";
}

function nameOfHost(): string {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? hostname() : "";
}

/**
 * Waits for a lock.
 *
 * @param onWait called once with the holder, if it takes more than a moment
 * @returns undefined if the signal is aborted first
 */
export async function waitForLock(
  folder: string,
  name: string,
  signal?: AbortSignal,
  onWait: (holder: string) => void = () => {},
): Promise<Lock | undefined> {
  for (let tries = 1; !signal?.aborted; tries++) {
    const lock = await tryLock(folder, name);
    if ("isHeld" in lock) return lock;
    if (tries === 1) onWait(formatHolder(lock.holder));
    await pause();
  }
}

/** `process 7 on login1 since 2026-01-01T00:00:00Z`. */
function formatHolder(holder: Holder | undefined): string {
  if (holder === undefined) return "another program";
  return `process ${holder.pid}${holder.host && ` on ${holder.host}`} since ${holder.since}`;
}

/** A run that only this program may write; if its lock is lost, this program writes nothing more there. */
export interface RunLock extends Disposable {
  /** The run's folder. */
  readonly run: string;
}

/** The runs that this program has locked. */
const lockedRuns = new Set<RunLock & Lock>();

/** Throws if the lock of a path's run is lost; called before it is written. */
export function checkHeld(path: string): void {
  for (const { run, isHeld } of lockedRuns) {
    if (!resolve(path).startsWith(resolve(run) + sep) || isHeld()) continue;
    throw new RunError(
      `Cannot write to ${run}: it was deleted or replaced while this program was working on it ` +
        "(nothing more is written there; start again)",
    );
  }
}

/**
 * Locks a run for this program alone.
 *
 * @param waitMs how long to wait for another program
 * @returns undefined if another program is working on the run
 */
export async function tryLockRun(run: string, { waitMs = 0 } = {}): Promise<RunLock | undefined> {
  const lock = waitMs > 0
    ? await waitForLock(run, lockName, AbortSignal.timeout(waitMs))
    : await tryLock(run, lockName);
  return lock === undefined || "holder" in lock ? undefined : guard(run, lock);
}

function guard(run: string, lock: Lock): RunLock {
  const { isHeld } = lock;
  const locked = { run, isHeld, [Symbol.dispose]: () => (lockedRuns.delete(locked), lock[Symbol.dispose]()) };
  lockedRuns.add(locked);
  return locked;
}

/** Locks a run for this program alone. Take the lock before reading anything that another program may be writing. */
export async function lockRun(run: string): Promise<RunLock> {
  const lock = await tryLock(run, lockName);
  if ("isHeld" in lock) return guard(run, lock);
  const [who, advice] = isElsewhere(lock.holder)
    ? [formatHolder(lock.holder), `if it has ended, remove ${join(run, lockName)}`]
    : ["another program", "wait until it ends"];
  throw new RunError(`Cannot write ${run}: ${who} is training or sending this run; ${advice}`);
}

/** Whether a program is working on a run. Needs no write permission. */
export async function isLocked(run: string): Promise<boolean> {
  const path = join(run, lockName);
  try {
    using file = await Deno.open(path);
    // Shared: programs that only look do not disturb each other.
    return isElsewhere(holderIn(textOf(path))) || !await file.tryLock(false);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new RunError(`Cannot check whether a program is working on ${run}: ${reasonOf(error)}`);
  }
}
