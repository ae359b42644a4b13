import { basename } from "node:path";
import { aboutFile, shownIn } from "../run/files.ts";
import { lossWarning } from "../cli/loss_meaning.ts";
import { asText } from "../cli/setting.ts";
import { lineWidth, printable, textTable } from "../cli/output.ts";
import type { RunSummary } from "./find_run.ts";
import { isResult, sortedMetrics } from "./metric_words.ts";

/** Losses, which have their own columns in the list. */
const losses = ["train_loss", "val_loss", "test_loss"];

/** The folder of a run, as other tasks accept it: without the default folder of runs. */
const shortKey = ({ key }: RunSummary) => key.replace(/^runs[\\/]/, "");

/**
 * A table of runs, one per line, with as many columns as fit; those of least weight are dropped first.
 *
 * @param width characters per line; by default the width of the terminal
 */
export function listTable(runs: readonly RunSummary[], width = lineWidth()): string {
  const of = (name: string, cell: (run: RunSummary) => string) => [name, ...runs.map(cell)];
  const columns: { readonly weight: number; readonly cells: readonly string[] }[] = [
    { weight: 9, cells: of("run", shortKey) },
    // Most folders have the same name as their run.
    { weight: runs.every(isNamedLikeFolder) ? 0 : 5, cells: of("name", ({ name }) => name) },
    { weight: 9, cells: of("status", ({ status }) => status) },
    { weight: 1, cells: of("started (UTC)", ({ startedAt }) => date(startedAt)) },
    { weight: 6, cells: of("minutes", minutes) },
    { weight: 9, cells: of("network", networkOf) },
    { weight: 2, cells: of("filters", (run) => setting(run, "filters")) },
    { weight: 8, cells: of("data", ({ dataset }) => dataset?.name ?? "") },
    ...losses.map((name, i) => ({ weight: [3, 4, 7][i], cells: of(name, (run) => metric(run, name)) })),
  ];
  let shown = columns.filter(({ weight, cells }) => weight > 0 && cells.some((cell, row) => row > 0 && cell));
  const widthOf = ({ cells }: typeof columns[number]) =>
    Math.max(...cells.map((cell) => [...cell].length)) + 2;
  while (shown.reduce((sum, column) => sum + widthOf(column), 0) > width) {
    const lowest = Math.min(...shown.map(({ weight }) => weight));
    if (lowest === 9) break; // long names are wrapped
    shown = shown.filter(({ weight }) => weight > lowest);
  }
  const rows = [...runs.keys(), runs.length].map((row) => shown.map(({ cells }) => cells[row]));
  return withLossWarning(textTable(rows, undefined, width), runs);
}

function isNamedLikeFolder({ key, name }: RunSummary): boolean {
  return basename(key) === name;
}

/** The result of a run: `residual`, `residual map` of a distillation, `mine.ts`, or `study`. */
function networkOf(run: RunSummary): string {
  const model = basename(setting(run, "model"));
  return setting(run, "plan") ? "study" : setting(run, "teacher") ? `${model} map` : model;
}

/** All facts about a run. */
export function showTable(run: RunSummary, files: readonly string[]): string {
  const about = [
    ["run", run.key],
    ["name", run.name],
    ["experiment", run.experiment],
    ["status", run.status],
    ["started (UTC)", date(run.startedAt)],
    ["minutes", minutes(run)],
    ["network", networkOf(run)],
    ["data", run.dataset?.name ?? ""],
  ].filter(([, value]) => value !== "");
  const metrics = sortedMetrics(Object.keys(run.metrics)).map((name) => [name, metric(run, name)]);
  const settings = Object.keys(run.params).map((name) => [name, setting(run, name)]);
  const described = files.map((path) => [printable(path), aboutFile(path), shownIn(path)]);
  return [
    textTable(about),
    ["Latest metrics", textTable(metrics)].join("\n"),
    ["Settings", textTable(settings)].join("\n"),
    ["Files", textTable(described)].join("\n"),
  ].join("\n\n");
}

/** Maximum number of figures in {@linkcode compareTable}. */
const maxFigures = 10;

/** Maximum length of a setting in {@linkcode compareTable}, which shows only the end of longer ones, such as paths. */
const maxCell = 24;

/**
 * A table of runs side by side: the losses and figures of quality that differ most, then the settings that differ.
 *
 * @param isAll whether to show all metrics, with the ends of intervals
 * @param width characters per line; by default the width of the terminal
 */
export function compareTable(runs: readonly RunSummary[], isAll = false, width = lineWidth()): string {
  const row = (name: string, cell: (run: RunSummary) => string) => [name, ...runs.map(cell)];
  const names = (all: readonly object[]) => [...new Set(all.flatMap((values) => Object.keys(values)))];
  const metrics = sortedMetrics(names(runs.map(({ metrics }) => metrics)));
  const results = metrics.filter(isResult);
  const differing = new Set(
    results.toSorted((a, b) => spread(runs, b) - spread(runs, a)).slice(0, maxFigures),
  );
  const shown = isAll ? metrics : results.filter((name) => differing.has(name));
  // A server returns them in any order.
  const settings = names(runs.map(({ params }) => params)).sort().map((name) =>
    row(name, (run) => clipped(setting(run, name)))
  ).filter(([, first, ...rest]) => rest.some((value) => value !== first));
  const rows = [
    ...headings(runs),
    row("status", ({ status }) => status),
    row("minutes", minutes),
    ...shown.map((name) => row(name, (run) => metric(run, name))),
    ...settings.length > 0 ? [row("", () => ""), row("settings that differ", () => "")] : [],
    ...settings,
  ];
  const left = metrics.length - shown.length;
  const which = shown.length < results.length
    ? `The ${shown.length} figures that differ most; ${left} more metrics with --all`
    : `${left} more metrics with --all`;
  const table = textTable(rows, undefined, width);
  return withLossWarning(left > 0 ? `${table}\n${which}` : table, runs);
}

/** Rows that name the runs; the time and the name of a default folder have separate rows, so that more runs fit. */
function headings(runs: readonly RunSummary[]): string[][] {
  const isNamed = new Set(runs.map(({ name }) => name)).size === runs.length;
  const names = runs.map((run) => isNamed ? run.name : shortKey(run));
  const stamped = names.map((name) => /^(\d{8}-\d{6})-(.+)$/.exec(name));
  if (!stamped.every((match) => match !== null)) return [["", ...names]];
  return [["", ...stamped.map(([, time]) => time)], ["", ...stamped.map(([, , name]) => name)]];
}

function clipped(text: string): string {
  return text.length > maxCell ? `...${text.slice(3 - maxCell)}` : text;
}

/** The spread of a metric between runs, relative to its size; 0 if fewer than two runs have it. */
function spread(runs: readonly RunSummary[], name: string): number {
  const values = runs.flatMap(({ metrics }) => Number.isFinite(metrics[name]) ? [metrics[name]] : []);
  const largest = Math.max(...values.map(Math.abs));
  return largest > 0 ? (Math.max(...values) - Math.min(...values)) / largest : 0;
}

/** A table of losses, with a warning below if they cannot be compared. */
function withLossWarning(table: string, runs: readonly RunSummary[]): string {
  const measured = runs.filter((run) => losses.some((name) => metric(run, name) !== ""));
  const warning = lossWarning(measured.map(({ params, dataset }) => ({ settings: params, dataset })));
  return warning === undefined ? table : `${table}\n${warning}`;
}

/** A setting as text; its name can be any word, even `constructor`. */
function setting({ params }: RunSummary, name: string): string {
  return Object.hasOwn(params, name) ? asText(params[name]) : "";
}

/** Formats a metric with four digits, or rounded to an integer if at least 1000. */
function metric({ metrics }: RunSummary, name: string): string {
  if (!Object.hasOwn(metrics, name)) return "";
  const value = metrics[name];
  return String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
}

function date(ms: number | null): string {
  return ms === null || !(Math.abs(ms) <= 8.64e15)
    ? ""
    : new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}

/** Minutes of training in all sessions of a run; without the metric, minutes from start to end. */
function minutes({ startedAt, endedAt, metrics: { elapsed_seconds: trained } }: RunSummary): string {
  if (trained >= 0) return (trained / 60).toFixed(1);
  if (startedAt === null || endedAt === null || endedAt < startedAt) return "";
  return ((endedAt - startedAt) / 60e3).toFixed(1);
}
