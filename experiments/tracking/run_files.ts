import { createHash } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import { openContained, reasonOf, RunError } from "../run/run_folder.ts";
import { runFile, runFolder, whenMirrored } from "../run/files.ts";
import { lineBreak, type Metrics, parseMetrics } from "../run/metrics_log.ts";
import type { SentFile } from "./cursor.ts";

/** A file of a run folder. */
export interface RunFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly size: number;
  readonly modified: number;
}

/** Files up to this many bytes are read into memory; the upload of larger ones shows its progress. */
const inMemory = 1 << 20;
const pieceBytes = 1 << 18;

/** Whether a file or folder is never sent: according to the table of files, or because it is hidden or unfinished. */
export function isOwn(path: string): boolean {
  return whenMirrored(path) === "never" || path.endsWith(".tmp") ||
    path.split("/").some((name) => name.startsWith("."));
}

/** The files of a run to send, sorted, without nested runs. */
export async function runFiles(run: string, below = ""): Promise<RunFile[]> {
  const files: RunFile[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(run, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isOwn(isDirectory ? `${path}/` : path)) continue;
    if (isDirectory && !await isRun(join(run, path))) {
      for (const file of await runFiles(run, path)) files.push(file);
    }
    const info = isFile && await Deno.stat(join(run, path)).catch(() => undefined); // it may have been deleted
    if (info) files.push({ path, size: info.size, modified: info.mtime?.getTime() ?? 0 });
  }
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** The runs nested in a run, such as the models of a comparison and the cells of a study, sorted by name. */
export async function nestedRuns(run: string): Promise<string[]> {
  const cells = join(run, runFolder.cells);
  // A link may lead to runs that are not nested here.
  const hasCells = await Deno.lstat(cells).then((info) => info.isDirectory, () => false);
  return [...await runFolders(run), ...hasCells ? await runFolders(cells) : []];
}

/**
 * The run folders in a folder, sorted by name and therefore by time; none if it does not exist. Damaged ones are
 * included, and reported when they are read.
 *
 * @throws {RunError} if it cannot be read
 */
export async function runFolders(root: string): Promise<string[]> {
  try {
    const entries = (await Array.fromAsync(Deno.readDir(root))).filter(({ isDirectory }) => isDirectory);
    const folders = entries.map(({ name }) => join(root, name)).sort();
    const areRuns = await Promise.all(folders.map(isRun));
    return folders.filter((_, i) => areRuns[i]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new RunError(`Cannot read ${root}: ${reasonOf(error)}`);
  }
}

function isRun(folder: string): Promise<boolean> {
  return Deno.lstat(join(folder, runFile.record)).then(() => true, () => false);
}

/** The folder of the possible parent of a run; cells of a study lie one level deeper. */
export function folderAround(run: string): string {
  const folder = dirname(resolve(run));
  return basename(folder) === runFolder.cells ? dirname(folder) : folder;
}

/** A file to send; its content stays the same even if another file replaces it. */
export interface OpenFile extends Disposable {
  readonly sent: SentFile;
  /** Its content, for one attempt to send it. */
  body(): BodyInit;
}

/**
 * Opens a file to send.
 *
 * @param run the folder that the file must lie in
 * @param path relative to it
 * @returns undefined if there is no such file
 * @throws {RunError} if it is outside the folder, or cannot be read
 */
export async function openFile(run: string, path: string): Promise<OpenFile | undefined> {
  const file = await openContained(join(run, path), run);
  if (file === undefined) return undefined;
  const { size, mtime } = await file.stat();
  async function* pieces() {
    await file!.seek(0, Deno.SeekMode.Start);
    for (let left = size; left > 0;) {
      const piece = new Uint8Array(Math.min(pieceBytes, left));
      const count = await file!.read(piece);
      if (count === null) return;
      left -= count;
      yield piece.subarray(0, count);
    }
  }
  const hash = createHash("sha256");
  const kept: Uint8Array<ArrayBuffer>[] = [];
  let read = 0;
  for await (const piece of pieces()) {
    hash.update(piece);
    read += piece.length;
    if (size <= inMemory) kept.push(piece);
  }
  return {
    sent: { size: read, modified: mtime?.getTime() ?? 0, sha256: hash.digest("hex") },
    body: () => size <= inMemory ? new Blob(kept) : ReadableStream.from(pieces()),
    [Symbol.dispose]: () => file.close(),
  };
}

/** A piece of `metrics.jsonl`. */
export interface MetricLines {
  readonly lines: readonly Metrics[];
  /** Byte offset of the end of the last line. */
  readonly end: number;
}

/**
 * Reads the lines of a run's `metrics.jsonl` from an offset, in pieces of limited size, even while it is being written.
 * Lines that are not metrics are skipped.
 *
 * @param offset end of a line; a shorter file is read from its start
 * @param isOver whether the run has ended; then a complete last line without a line break counts. A truncated line
 *   never counts: the next program that appends to the file replaces it
 * @throws {RunError} if the file cannot be read
 */
export async function* metricsFrom(
  run: string,
  offset: number,
  isOver: boolean,
): AsyncGenerator<MetricLines> {
  const file = await openContained(join(run, runFile.metrics));
  if (file === undefined) return;
  if ((await file.stat()).size < offset) offset = 0;
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = await new Response(file.readable).bytes(); // closes the file
  const parse = (start: number, end: number) =>
    new TextDecoder().decode(bytes.subarray(start, end)).split("\n").map(parseMetrics);
  for (let [start, end] = [0, 0]; start < bytes.length; start = end) {
    end = bytes.lastIndexOf(lineBreak, start + pieceBytes) + 1;
    if (end <= start) end = bytes.indexOf(lineBreak, start) + 1; // a line longer than a piece
    if (end === 0) end = isOver && parse(start, bytes.length)[0] ? bytes.length : start;
    if (end === start) return;
    yield { lines: parse(start, end).filter((line) => line !== undefined), end: offset + end };
  }
}
