/** Output of tasks. Names and answers come from files and servers, so everything is escaped here. */

const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Escapes text for a terminal: control and writing-direction characters become JSON escapes. */
export function printable(text: string): string {
  return text.replaceAll(controls, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Prints a result of one or more lines. */
export function print(text: string): void {
  console.log(linesOf(text));
}

/** Prints a message to the standard error stream. */
export function say(text: string): void {
  console.error(linesOf(text));
}

function linesOf(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/**
 * Formats rows as lines of aligned columns.
 *
 * @param isNumber whether a column is right-aligned; by default none is
 */
export function textTable(
  rows: readonly (readonly string[])[],
  isNumber: (column: number) => boolean = () => false,
): string {
  const shown = rows.map((row) => row.map(printable));
  const widths = (rows[0] ?? []).map((_, i) =>
    shown.reduce((most, row) => Math.max(most, [...row[i]].length), 0)
  );
  return shown.map((row) => {
    const cells = row.map((cell, i) => {
      const space = " ".repeat(widths[i] - [...cell].length);
      return isNumber(i) ? space + cell : cell + space;
    });
    return `  ${cells.join("  ")}`.trimEnd();
  }).join("\n");
}
