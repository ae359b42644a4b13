import { join } from "node:path";
import { figurePage, type Passage, type TextTable } from "../../viz/report/mod.ts";
import { writeAtomic } from "../run/run_folder.ts";
import { qualityFigure } from "./chart.ts";
import { costNames } from "./columns.ts";
import { conclude, tablesOf } from "./findings.ts";
import type { CellResult } from "./results.ts";
import type { Study } from "./study.ts";
import type { Summary } from "./summary.ts";

const note =
  "Intervals are 95 % confidence intervals of the mean over seeds, by Student's t; differences are taken within each " +
  "seed, whose runs share the order of data, noise and times. Real images are training images.";

/**
 * Writes the results of the finished cells into the folder of a study: `study.html` with conclusion, chart and tables,
 * `study.md` without the chart, and `study.csv`.
 *
 * @returns the conclusion as text, and the table of setups
 */
export async function writeResults(study: Study, results: readonly CellResult[], summary: Summary) {
  const title = `Study ${study.plan.name}`;
  const { headline, details } = conclude(study, summary);
  const tables = tablesOf(summary);
  const figure = qualityFigure(summary);
  const page = figurePage({
    title,
    passages: [headline],
    figures: figure ? [figure] : [],
    tables,
    details,
    note,
  });
  const conclusion = [headline, ...details].map(passageText).join("\n\n");
  await writeAtomic(join(study.folder, "study.html"), page);
  await writeAtomic(join(study.folder, "study.md"), markdownOf(title, conclusion, tables));
  await writeAtomic(join(study.folder, "study.csv"), csvOf(results));
  return { conclusion, setups: tables[0] };
}

function markdownOf(title: string, conclusion: string, tables: readonly TextTable[]): string {
  const parts = tables.map(({ title, head, rows }) => `## ${title}\n\n${markdownTable(head, rows)}`);
  return [`# ${title}`, conclusion, ...parts, note].join("\n\n") + "\n";
}

/** A passage in Markdown that also reads well as plain text. */
function passageText(passage: Passage): string {
  if (typeof passage === "string") return passage;
  return [`${passage.heading}:\n`, ...passage.items.map((item) => `- ${item}`)].join("\n");
}

/** A Markdown table; all but the first column contain numbers. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => column === 0 ? "---" : "---:");
  const lines = [head, rule, ...rows].map((cells) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
  );
  return lines.join("\n");
}

/** One line per finished cell: its settings, costs and figures. */
function csvOf(results: readonly CellResult[]): string {
  const settings = Object.keys(results[0]?.cell.settings ?? {});
  const figures = [...new Set(results.flatMap(({ figures }) => Object.keys(figures)))];
  const columns = costNames.map((name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  const head = ["cell", "seed", ...settings, ...columns, ...figures];
  const lines = results.map(({ cell, costs, ...result }) => [
    cell.id,
    cell.seed,
    ...settings.map((name) => cell.settings[name]),
    ...costNames.map((name) => costs[name] ?? ""),
    ...figures.map((key) => result.figures[key] ?? ""),
  ]);
  return [head, ...lines].map((values) => values.map((value) => quoted(String(value))).join(",") + "\n")
    .join("");
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
