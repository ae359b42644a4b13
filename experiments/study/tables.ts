import type { Passage, StudyFindings } from "../../viz/report/mod.ts";
import {
  type FigureKey,
  figureKeys,
  type FigureName,
  keysOf,
  meaningOf,
  metricOf,
  titleOf,
} from "../evaluation/figures.ts";
import type { Interval, SeedMean } from "./seed_intervals.ts";
import type { Setup, Summary } from "./summary.ts";

export type Table = StudyFindings["tables"][number];

/** Figures in the table of setups besides those of the conclusion, if measured; `table.csv` has all figures. */
const otherFigures = keysOf([
  "confident",
  "asked_class",
  "coverage",
  "velocity_error",
  "bits_per_dimension",
]);

/** All tables of a study that are not empty. */
export function tablesOf(summary: Summary): Table[] {
  const tables = [setupTable(summary), differenceTable(summary), ...solverTables(summary)];
  return tables.filter(({ rows }) => rows.length > 0);
}

/** The figures in tables: first those of the conclusion. */
function shownKeys({ primaries }: Summary): FigureKey[] {
  return [...new Set([...primaries.map(({ key }) => key), ...otherFigures])];
}

function setupTable(summary: Summary): Table {
  const { setups } = summary;
  const keys = shownKeys(summary).filter((key) => setups.some(({ figures }) => figures[key]));
  return {
    title: "Setups: mean over seeds (95 % interval)",
    head: ["setup", ...keys.map(titleOf), "parameters", "multiply-adds", "images", "seconds", "seeds"],
    rows: setups.map(({ label, figures, parameters, multiplyAdds, images, seconds, seeds }) => [
      label,
      ...keys.map((key) => formatMean(key, figures[key])),
      whole(parameters),
      `${Number((multiplyAdds / 1e6).toPrecision(3))} M`,
      images === undefined ? "" : whole(images),
      seconds === undefined ? "" : seconds.mean.toFixed(1),
      seeds.finished === seeds.planned ? `${seeds.planned}` : `${seeds.finished} of ${seeds.planned}`,
    ]),
  };
}

function differenceTable(summary: Summary): Table {
  const { differences } = summary;
  const keys = shownKeys(summary).filter((key) => differences.some(({ figures }) => figures[key]));
  const measured = differences.filter(({ figures }) => keys.some((key) => figures[key]));
  return {
    title: "Differences between setups that differ in one choice (paired 95 % interval)",
    head: ["difference", ...keys.map(titleOf), "× parameters", "× multiply-adds", "× seconds"],
    rows: measured.map(({ a, b, figures, ratio: { parameters, multiplyAdds, seconds } }) => [
      `${a} − ${b}`,
      ...keys.map((key) => formatMean(key, figures[key])),
      ...[parameters, multiplyAdds, seconds].map((ratio) => ratio?.toFixed(2) ?? ""),
    ]),
  };
}

/** Solvers are rows for one setup, and columns for several, in a table for each judge. */
function solverTables({ setups }: Summary): Table[] {
  const title = "by network evaluations (solver): mean over seeds (95 % interval)";
  const measured = setups.filter(({ costs }) => costs.length > 0);
  const sorted = measured.flatMap(({ costs }) => costs).toSorted((a, b) => a.evaluations - b.evaluations);
  const titles = new Map(sorted.map(({ solver, evaluations }) => [
    solver,
    `${Number(evaluations.toFixed(1))} (${solver})`,
  ]));
  const measuredKeys = (...names: FigureName[]) =>
    keysOf(names).filter((key) => sorted.some((cost) => cost[key]));
  if (measured.length === 1) {
    const shown = measuredKeys("frechet", "kernel", "confident");
    return [{
      title: `Quality of ${measured[0].label} ${title}`,
      head: ["evaluations", ...shown.map(titleOf)],
      rows: sorted.map((cost) => [
        titles.get(cost.solver)!,
        ...shown.map((key) => formatMean(key, cost[key])),
      ]),
    }];
  }
  return measuredKeys("frechet", "kernel").map((key) => {
    const cell = ({ costs }: Setup, solver: string) =>
      formatMean(key, costs.find((cost) => cost.solver === solver)?.[key]);
    return {
      title: `${titleOf(key)} ${title}`,
      head: ["setup", ...titles.values()],
      rows: measured.map((setup) => [setup.label, ...titles.keys().map((solver) => cell(setup, solver))]),
    };
  });
}

/** Formats a number, rounded to an integer with separators: `32,000`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Formats an interval as `1.2 to 3.4`, with digits that match its width. */
export function formatInterval(key: FigureKey, interval: Interval): string {
  return interval.map((end) => formatFigure(key, end, halfOf(interval))).join(" to ");
}

/** Formats a mean with its interval, `12.1 (10.2 to 14.0)`; without it for one seed; empty for none. */
export function formatMean(key: FigureKey, found: SeedMean | undefined): string {
  if (!found) return "";
  const { mean, interval } = found;
  if (!interval) return formatFigure(key, mean);
  return `${formatFigure(key, mean, halfOf(interval))} (${formatInterval(key, interval)})`;
}

/**
 * Formats a figure, rounded to two digits of its spread, or else to four significant digits; shares are percentages, and
 * the minus sign is a true one.
 */
export function formatFigure(key: FigureKey, value: number, spread?: number): string {
  const { share } = meaningOf(key);
  const [scale, unit] = share ? [100, " %"] : [1, ""];
  const decimals = (spread: number) => Math.min(Math.max(1 - Math.floor(Math.log10(spread)), 0), 20);
  const text = spread
    ? (scale * value).toFixed(decimals(scale * spread))
    : String(Number((scale * value).toPrecision(4)));
  const signed = Number(text) === 0 ? text.replace("-", "") : text; // no minus sign before a rounded 0
  return signed.replace("-", "\u2212") + unit;
}

function halfOf([low, high]: Interval): number {
  return (high - low) / 2;
}

const note =
  "Intervals are 95 % confidence intervals of the mean over seeds, by Student's t; differences are taken within each " +
  "seed, whose runs share the order of data, noise and times.";

/** The conclusion and the tables of a study in Markdown. */
export function studyMarkdown(
  title: string,
  conclusion: readonly Passage[],
  tables: readonly Table[],
): string {
  const parts = tables.map(({ title, head, rows }) => `## ${title}\n\n${markdownTable(head, rows)}`);
  return [`# ${title}`, ...conclusion.map(passageText), ...parts, note].join("\n\n") + "\n";
}

/** A passage in Markdown that also reads well as plain text. */
export function passageText(passage: Passage): string {
  if (typeof passage === "string") return passage;
  return [`${passage.heading}:\n`, ...passage.items.map((item) => `- ${item}`)].join("\n");
}

/** A Markdown table with aligned columns; all but the first contain numbers. */
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

/**
 * Every figure of every setup and difference, one per line: `setup,minus,figure,seeds,mean,deviation,low,high,
 * bootstrap_low,bootstrap_high,values`; values are in the order of the seeds, separated by spaces.
 */
export function csvOf({ setups, differences }: Summary): string {
  const head = "setup,minus,figure,seeds,mean,deviation,low,high,bootstrap_low,bootstrap_high,values";
  const line = (setup: string, minus: string, figure: string, found: SeedMean) => {
    const { seeds, mean, deviation = "", interval = ["", ""], bootstrap = ["", ""], values } = found;
    const cells = [setup, minus, figure, seeds.join(" "), mean, deviation, ...interval, ...bootstrap];
    return [...cells, values.join(" ")].map(csvCell).join(",");
  };
  const lines = (setup: string, minus: string, figures: Setup["figures"]) =>
    figureKeys.flatMap((key) => figures[key] ? [line(setup, minus, key, figures[key])] : []);
  return [
    head,
    ...setups.flatMap(({ label, figures, costs, seconds }) => [
      ...lines(label, "", figures),
      ...costs.flatMap((cost) =>
        keysOf(["frechet"]).flatMap((key) =>
          cost[key] ? [line(label, "", `${key} by ${cost.solver}`, cost[key])] : []
        )
      ),
      ...seconds ? [line(label, "", "seconds", seconds)] : [],
    ]),
    ...differences.flatMap(({ a, b, figures }) => lines(a, b, figures)),
    "",
  ].join("\n");
}

/**
 * The means of all setups as metrics: `eval/frechet/residual_no_attn`, and with several seeds the ends of its interval,
 * `eval/frechet/residual_no_attn_low` and `_high`.
 */
export function metricsOf({ setups }: Summary): Record<string, number> {
  const metrics = setups.flatMap(({ label, figures }) =>
    figureKeys.flatMap((key) => {
      const name = `${metricOf(key)}/${label.replaceAll(/[^\p{L}\p{N}.-]+/gu, "_").replaceAll(/^_|_$/g, "")}`;
      const { mean, interval: [low, high] = [] } = figures[key] ?? {};
      return [[name, mean], [`${name}_low`, low], [`${name}_high`, high]] as const;
    })
  );
  return Object.fromEntries(metrics.flatMap(([name, value]) => value === undefined ? [] : [[name, value]]));
}

function csvCell(value: string | number): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
