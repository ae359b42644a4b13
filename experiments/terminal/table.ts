import { printable } from "./output.ts";

/**
 * Rows as lines of aligned columns.
 *
 * @param isNumber whether a column is aligned to the right; by default none is
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
