import { createHash } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import { openContained } from "../run/contained.ts";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import type { SentFile } from "./cursor.ts";
import { runFile, runFolder } from "../run/layout.ts";

/** A file of a run folder. */
export interface RunFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly size: number;
  readonly modified: number;
}

/** Bytes up to which a file is read into memory. */
const inMemory = 32 << 20;
const piece = 1 << 18;

/** Whether a file is for this program only and never sent: the cursor, hidden and unfinished files. */
export function isOwn(path: string): boolean {
  return path === runFile.cursor || path.endsWith(".tmp") ||
    path.split("/").some((name) => name.startsWith("."));
}

/**
 * The files of a run to send, sorted: without the cursor, hidden or unfinished files, and nested runs.
 */
export async function runFiles(run: string, below = ""): Promise<RunFile[]> {
  const files: RunFile[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(run, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isOwn(path) || path === runFolder.cells) continue;
    if (isDirectory && !(await exists(join(run, path, runFile.record)))) {
      for (const file of await runFiles(run, path)) files.push(file);
    }
    if (!isFile) continue;
    const info = await statOf(join(run, path));
    if (info) files.push({ path, size: info.size, modified: info.mtime?.getTime() ?? 0 });
  }
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** The runs nested in a run, such as the models of a comparison and the cells of a study, sorted by name. */
export async function nestedRuns(run: string): Promise<string[]> {
  const cells = join(run, runFolder.cells);
  // Through a link, runs that are not nested would be sent.
  const hasCells = await Deno.lstat(cells).then((info) => info.isDirectory, () => false);
  return [...await runsIn(run), ...hasCells ? await runsIn(cells) : []];
}

async function runsIn(folder: string): Promise<string[]> {
  const runs: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory && await exists(join(folder, name, runFile.record))) runs.push(join(folder, name));
    }
  } catch (error) {
    throw new RunError(`Cannot read ${folder}: ${reasonOf(error)}`);
  }
  return runs.sort();
}

/** The folder whose runs a run may be nested in: that of a study lies beside its cells' folder. */
export function folderAround(run: string): string {
  const folder = dirname(resolve(run));
  return basename(folder) === runFolder.cells ? dirname(folder) : folder;
}

/** A file to send; its content stays as opened, even if another file replaces it. */
export class OpenFile implements Disposable {
  readonly #file: Deno.FsFile;
  readonly sent: SentFile;
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  private constructor(file: Deno.FsFile, sent: SentFile, bytes?: Uint8Array<ArrayBuffer>) {
    this.#file = file;
    this.sent = sent;
    this.#bytes = bytes;
  }

  /**
   * @param run the folder that the file must lie in
   * @param path relative to it
   * @returns undefined if there is no such file
   * @throws {RunError} if it leads out of the folder, or cannot be read
   */
  static async open(run: string, path: string): Promise<OpenFile | undefined> {
    const file = await openContained(join(run, path), run);
    if (file === undefined) return undefined;
    const { size, mtime } = await file.stat();
    const hash = createHash("sha256");
    const bytes = size <= inMemory ? new Uint8Array(size) : undefined;
    let read = 0;
    for (const part = new Uint8Array(piece); read < size;) {
      const count = await file.read(part.subarray(0, Math.min(piece, size - read)));
      if (count === null) break;
      hash.update(part.subarray(0, count));
      bytes?.set(part.subarray(0, count), read);
      read += count;
    }
    const sent = { size: read, modified: mtime?.getTime() ?? 0, sha256: hash.digest("hex") };
    return new OpenFile(file, sent, bytes?.subarray(0, read));
  }

  /** Its content, for one attempt to send it. */
  body(): BodyInit {
    if (this.#bytes !== undefined) return this.#bytes;
    let left = this.sent.size;
    return new ReadableStream<Uint8Array>({
      start: async () => void await this.#file.seek(0, Deno.SeekMode.Start),
      pull: async (controller) => {
        const part = new Uint8Array(Math.min(piece, left));
        const count = left === 0 ? null : await this.#file.read(part);
        if (count === null) return controller.close();
        left -= count;
        controller.enqueue(part.subarray(0, count));
      },
    });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return await statOf(path) !== undefined;
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
