import { passagesOf, passageText, type Sentence } from "./conclusion.ts";
import type { Table } from "./tables.ts";

/** What stands below tables of intervals. */
const note =
  "Intervals hold the mean over seeds in 95 of 100 cases, by Student's t over the seeds; differences are taken within " +
  "each seed, whose runs share the order of data, noise and times.";

/** The conclusion and the tables of a study as a page in Markdown. */
export function studyMarkdown(
  title: string,
  conclusion: readonly Sentence[],
  tables: readonly Table[],
): string {
  const passages = passagesOf(conclusion).map(passageText);
  const parts = tables.map(({ title, head, rows }) => `## ${title}\n\n${markdownTable(head, rows)}`);
  return [`# ${title}`, ...passages, ...parts, note, ""].join("\n\n").trimEnd() + "\n";
}

/** A table in Markdown with aligned columns; `|` and line ends are escaped, and all columns but the first are numbers. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) =>
    row.map((cell) => cell.replaceAll("|", "\\|").replaceAll(/\s+/g, " "))
  );
  const widths = head.map((_, column) => Math.max(4, ...all.map((row) => [...row[column]].length)));
  const lines = all.map((row) => {
    const cells = row.map((cell, column) => {
      const space = " ".repeat(widths[column] - [...cell].length);
      return column === 0 ? cell + space : space + cell;
    });
    return `| ${cells.join(" | ")} |`;
  });
  const rule = widths.map((width, column) => column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`);
  return [lines[0], `| ${rule.join(" | ")} |`, ...lines.slice(1)].join("\n");
}
