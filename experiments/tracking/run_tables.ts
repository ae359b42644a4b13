import { basename } from "node:path";
import { lossWarning } from "../settings/loss_meaning.ts";
import { asText } from "../settings/setting.ts";
import { printable, textTable } from "../program/output.ts";
import type { RunSummary } from "./find_run.ts";

/** Metrics with a column in the list. */
const losses = ["train_loss", "val_loss", "test_loss"];

/** A table of runs, one per line. */
export function listTable(runs: readonly RunSummary[]): string {
  // Most folders are named like their run.
  const isNamed = runs.some(({ key, name }) => basename(key) !== name);
  const head = ["run", "name", "status", "started (UTC)", "minutes", "model", "filters", ...losses];
  const rows = runs.map((run) => [
    run.key,
    run.name,
    run.status,
    date(run.startedAt),
    minutes(run),
    setting(run, "model"),
    setting(run, "filters"),
    ...losses.map((name) => metric(run, name)),
  ]);
  const table = [head, ...rows].map((row) => row.filter((_, column) => isNamed || column !== 1));
  return withLossWarning(textTable(table), runs);
}

/** Everything that is known about a run. */
export function showTable(run: RunSummary, files: readonly string[]): string {
  const about = [
    ["run", run.key],
    ["name", run.name],
    ["experiment", run.experiment],
    ["status", run.status],
    ["started (UTC)", date(run.startedAt)],
    ["minutes", minutes(run)],
  ];
  const metrics = Object.keys(run.metrics).map((name) => [name, metric(run, name)]);
  const settings = Object.keys(run.params).map((name) => [name, setting(run, name)]);
  return [
    textTable(about),
    ["Latest metrics", textTable(metrics)].join("\n"),
    ["Settings", textTable(settings)].join("\n"),
    ["Files", ...files.map(printable)].join("\n  "),
  ].join("\n\n");
}

/** Most figures that {@linkcode compareTable} shows. */
const mostFigures = 10;

/**
 * Runs side by side: the figures that differ most, most different first, and the settings that differ.
 *
 * @param isAll whether to show all figures, with their intervals, in the order of the log
 */
export function compareTable(runs: readonly RunSummary[], isAll = false): string {
  const isNamed = new Set(runs.map(({ name }) => name)).size === runs.length;
  const row = (name: string, cell: (run: RunSummary) => string) => [name, ...runs.map(cell)];
  const names = (all: readonly object[]) => [...new Set(all.flatMap((values) => Object.keys(values)))];
  const metrics = names(runs.map(({ metrics }) => metrics));
  const figures = metrics.filter((name) => !/^eval\/.*_(low|high)$/.test(name));
  const shown = isAll
    ? metrics
    : figures.sort().sort((a, b) => spread(runs, b) - spread(runs, a)).slice(0, mostFigures);
  // A server gives them in any order.
  const settings = names(runs.map(({ params }) => params)).sort().map((name) =>
    row(name, (run) => setting(run, name))
  );
  const rows = [
    row("", ({ key, name }) => isNamed ? name : key),
    row("status", ({ status }) => status),
    row("minutes", minutes),
    ...shown.map((name) => row(name, (run) => metric(run, name))),
    ...settings.filter(([, first, ...others]) => others.some((value) => value !== first)),
  ];
  const more = metrics.length - shown.length;
  const table = textTable(rows) +
    (more > 0 ? `\nThe ${shown.length} figures that differ most; ${more} more with --all` : "");
  return withLossWarning(table, runs);
}

/** How much a metric differs between runs, relative to its size; 0 if fewer than two have it. */
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

/** A setting as text; its name may be any word, even `constructor`. */
function setting({ params }: RunSummary, name: string): string {
  return Object.hasOwn(params, name) ? asText(params[name]) : "";
}

/** A metric with four digits, or rounded to an integer from 1000 on. */
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

/** Minutes of training in all sessions of a run; without that metric, minutes from start to end. */
function minutes({ startedAt, endedAt, metrics: { elapsed_seconds: trained } }: RunSummary): string {
  if (trained >= 0) return (trained / 60).toFixed(1);
  if (startedAt === null || endedAt === null || endedAt < startedAt) return "";
  return ((endedAt - startedAt) / 60e3).toFixed(1);
}
