import { openContained } from "../run/contained.ts";
import { lineBreak } from "../run/metrics_log.ts";

/** Some complete lines of a file. */
export interface Lines {
  readonly lines: readonly string[];
  /** Offset in the file of the end of the last one, in bytes. */
  readonly end: number;
}

const pieceBytes = 1 << 18;
const pieceBackBytes = 1 << 12;

/**
 * Reads the lines of a file that may still be written, from an offset to its current end, in pieces of limited size. Where
 * an incomplete line was read before, and then cut, it begins with the line that stands there now.
 *
 * @param path a file of a run folder
 * @param isWhole whether a last line without a line break counts, for instance because the file is complete
 * @throws {RunError} if the file cannot be read
 */
export async function* linesFrom(
  path: string,
  offset: number,
  isWhole: (line: string) => boolean,
): AsyncGenerator<Lines> {
  using file = await openContained(path);
  if (file === undefined) return;
  offset = await startOfLine(file, offset);
  await file.seek(offset, Deno.SeekMode.Start);
  let open = new Uint8Array(0);
  for (;;) {
    const piece = new Uint8Array(pieceBytes);
    const read = await file.read(piece);
    const text = new Uint8Array(open.length + (read ?? 0));
    text.set(open);
    text.set(piece.subarray(0, read ?? 0), open.length);
    const isLast = read === null && isWhole(new TextDecoder().decode(text));
    const length = isLast ? text.length : text.lastIndexOf(lineBreak) + 1;
    offset += length;
    const lines = new TextDecoder().decode(text.subarray(0, length)).split("\n").filter((line) =>
      line !== ""
    );
    if (lines.length > 0) yield { lines, end: offset };
    if (read === null) return;
    open = text.slice(length);
  }
}

/** Where the line begins that an offset lies in; 0 if the file is shorter, as lines before the offset are new then. */
async function startOfLine(file: Deno.FsFile, offset: number): Promise<number> {
  const { size } = await file.stat();
  if (size === offset) return offset;
  for (let end = size < offset ? 0 : offset; end > 0;) {
    const from = Math.max(0, end - pieceBackBytes);
    const piece = await readPiece(file, from, end);
    const at = piece.lastIndexOf(lineBreak);
    if (at >= 0) return from + at + 1;
    end = from;
  }
  return 0;
}

async function readPiece(file: Deno.FsFile, from: number, to: number): Promise<Uint8Array> {
  const piece = new Uint8Array(to - from);
  await file.seek(from, Deno.SeekMode.Start);
  for (let filled = 0; filled < piece.length;) {
    const read = await file.read(piece.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  return piece;
}
