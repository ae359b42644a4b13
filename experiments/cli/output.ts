/** Output of tasks. Names and answers come from files and servers, so everything is escaped here. */

import { reasonOf, RunError } from "../run/run_folder.ts";
import { stderr } from "./progress.ts";

const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Escapes text for a terminal: control and writing-direction characters become JSON escapes. */
export function printable(text: string): string {
  return text.replaceAll(controls, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Prints a result of one or more lines. @throws {RunError} if it cannot, for example because the disk is full */
export function print(text: string): void {
  try {
    console.log(linesOf(text));
  } catch (error) {
    throw new RunError(`Cannot print the result: ${reasonOf(error)}`);
  }
}

/** Prints a message to the standard error stream. */
export function say(text: string): void {
  console.error(linesOf(text));
}

function linesOf(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** Characters of a line: those of the terminal, or 80 without one. */
export function lineWidth(): number {
  return stderr.columns() || 80;
}

/** Minimum width of a column whose text is wrapped, in characters. */
const minWrapped = 16;

/**
 * Formats rows as lines of aligned columns. If they do not fit, long text is wrapped between words; if that is not
 * enough, the columns are shown in several parts, each with the first column.
 *
 * @param isNumber whether a column is right-aligned and never wrapped; by default none is
 */
export function textTable(
  rows: readonly (readonly string[])[],
  isNumber: (column: number) => boolean = () => false,
  width = lineWidth(),
): string {
  const shown = rows.map((row) => row.map(printable));
  const longest = (of: (cell: string) => number) =>
    (rows[0] ?? []).map((_, i) => shown.reduce((most, row) => Math.max(most, of(row[i])), 0));
  const widths = longest((cell) => [...cell].length);
  const words = longest((cell) => Math.max(...cell.split(" ").map((word) => [...word].length)));
  const least = widths.map((width, i) =>
    isNumber(i) ? width : Math.min(width, Math.max(words[i], minWrapped))
  );
  const missing = (part: readonly number[]) => part.reduce((sum, i) => sum + widths[i] + 2, -width);
  const columns = [...widths.keys()];
  if (missing(columns) > 0 && least.reduce((sum, width) => sum + width + 2, 0) <= width) {
    while (missing(columns) > 0) {
      const [widest] = columns.filter((i) => widths[i] > least[i]).sort((a, b) => widths[b] - widths[a]);
      widths[widest]--;
    }
  }
  if (columns.some((i) => i > 0 && missing([0, i]) > 0)) widths[0] = Math.min(widths[0], width / 2 - 2 | 0);
  for (const i of columns.slice(1)) widths[i] -= Math.max(0, missing([0, i]));
  const parts: number[][] = [[0]];
  for (const i of columns.slice(1)) {
    const last = parts[parts.length - 1];
    if (last.length === 1 || missing([...last, i]) <= 0) last.push(i);
    else parts.push([0, i]);
  }
  return parts.map((part) => shown.flatMap((row) => linesOfRow(row, part, widths, isNumber)).join("\n"))
    .join("\n\n");
}

/** The lines of a row: one, or more if a cell is wrapped. */
function linesOfRow(
  row: readonly string[],
  part: readonly number[],
  widths: readonly number[],
  isNumber: (column: number) => boolean,
): string[] {
  const cells = part.map((i) => wrap(row[i], widths[i]));
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) => {
    const padded = part.map((i, at) => {
      const cell = cells[at][line] ?? "";
      const space = " ".repeat(widths[i] - [...cell].length);
      return isNumber(i) ? space + cell : cell + space;
    });
    return `  ${padded.join("  ")}`.trimEnd();
  });
}

/** Breaks text into lines between words, or inside a word that is too long. */
function wrap(text: string, width: number): string[] {
  if ([...text].length <= width) return [text];
  const lines = text.match(RegExp(`(?:.{1,${width}}(?= |$)|.{1,${width}}) ?`, "gu")) ?? [];
  return lines.map((line) => line.trimEnd());
}
