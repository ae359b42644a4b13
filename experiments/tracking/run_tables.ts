/** Tables of runs: a list, one run, and several beside each other. */

import { basename } from "node:path";
import { lineWidth, printable, textTable } from "../cli/output.ts";
import { asText } from "../cli/settings.ts";
import { aboutFile, shownIn } from "../run/files.ts";
import { lossWarning } from "../settings/comparable_losses.ts";
import { isResult, sortedMetrics } from "./describe_run.ts";
import type { RunSummary } from "./find_run.ts";

/** Losses, which have their own columns in the list. */
const losses = ["train_loss", "val_loss", "test_loss"];

/** A fact about a run. */
interface Fact {
  readonly name: string;
  /** How important it is in a list, which leaves out those of least weight first. */
  readonly weight: number;
  readonly of: (run: RunSummary) => string;
}

/** What a run is, for a list and for a full description; those of weight 0 only in the latter. */
const about: readonly Fact[] = [
  { name: "name", weight: 5, of: ({ name }) => name },
  { name: "experiment", weight: 0, of: ({ experiment }) => experiment },
  { name: "status", weight: 9, of: ({ status }) => status },
  { name: "started (UTC)", weight: 1, of: ({ startedAt }) => minuteOf(startedAt) },
  { name: "minutes", weight: 6, of: minutes },
  { name: "network", weight: 9, of: networkOf },
  { name: "data", weight: 8, of: ({ dataset }) => dataset?.name ?? "" },
];

/** The columns of a list. */
const listed: readonly Fact[] = [
  { name: "run", weight: 9, of: shortKey },
  ...about.slice(0, -1),
  { name: "filters", weight: 2, of: (run) => setting(run, "filters") },
  ...about.slice(-1),
  { name: "train_loss", weight: 3, of: (run) => metric(run, "train_loss") },
  { name: "val_loss", weight: 4, of: (run) => metric(run, "val_loss") },
  { name: "test_loss", weight: 7, of: (run) => metric(run, "test_loss") },
];

/** The folder of a run, as other tasks accept it. */
function shortKey({ key }: RunSummary): string {
  return key.replace(/^runs[\\/]/, "");
}

function minuteOf(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace("T", " ");
}

/** A table of runs, one per line, with as many columns as fit; those of least weight are left out first. */
export function listTable(runs: readonly RunSummary[], width = lineWidth()): string {
  const isNamed = runs.some(({ key, name }) => basename(key) !== name);
  let columns = listed.filter(({ name, weight }) => weight > 0 && (isNamed || name !== "name"))
    .map(({ name, weight, of }) => ({ weight, cells: [name, ...runs.map(of)] }))
    .filter(({ cells: [, ...cells] }) => cells.some(Boolean));
  const sum = () =>
    columns.reduce((sum, { cells }) => sum + Math.max(...cells.map((c) => [...c].length)) + 2, 0);
  for (let least = 1; least < 9 && sum() > width; least++) {
    columns = columns.filter(({ weight }) => weight > least);
  }
  const rows = [undefined, ...runs].map((_, row) => columns.map(({ cells }) => cells[row]));
  return withLossWarning(textTable(rows, undefined, width), runs);
}

/** All facts about a run. */
export function showTable(run: RunSummary, files: readonly string[]): string {
  const facts = about.map(({ name, of }) => [name, of(run)]).filter(([, value]) => value !== "");
  const metrics = sortedMetrics(Object.keys(run.metrics)).map((name) => [name, metric(run, name)]);
  const settings = Object.keys(run.params).map((name) => [name, setting(run, name)]);
  const described = files.map((path) => [printable(path), aboutFile(path), shownIn(path)]);
  return [
    textTable([["run", run.key], ...facts]),
    `Latest metrics\n${textTable(metrics)}`,
    `Settings\n${textTable(settings)}`,
    `Files\n${textTable(described)}`,
  ].join("\n\n");
}

/** Maximum number of figures in {@linkcode compareTable}. */
const maxFigures = 10;
/** Maximum number of characters of a setting there, such as a path. */
const maxCell = 24;

/** A table of runs side by side: the results that differ most, or all metrics, then the settings that differ. */
export function compareTable(runs: readonly RunSummary[], isAll = false, width = lineWidth()): string {
  const row = (name: string, cell: (run: RunSummary) => string) => [name, ...runs.map(cell)];
  const names = (all: readonly object[]) => [...new Set(all.flatMap((values) => Object.keys(values)))];
  const metrics = sortedMetrics(names(runs.map(({ metrics }) => metrics)));
  const results = metrics.filter(isResult);
  const differing = results.toSorted((a, b) => spread(runs, b) - spread(runs, a)).slice(0, maxFigures);
  const shown = isAll ? metrics : results.filter((name) => differing.includes(name));
  const clipped = (text: string) => {
    // Of weights, the name of their run and the first digits tell runs apart.
    const short = text.replace(/(?<=@)sha256:([0-9a-f]{8})[0-9a-f]*/, "$1");
    return short.length > maxCell ? `...${short.slice(3 - maxCell)}` : short;
  };
  const settings = names(runs.map(({ params }) => params)).sort()
    .map((name) => row(name, (run) => clipped(setting(run, name))))
    .filter(([, first, ...rest]) => rest.some((value) => value !== first));
  const rows = [
    ...headings(runs),
    row("status", ({ status }) => status),
    row("minutes", minutes),
    ...shown.map((name) => row(name, (run) => metric(run, name))),
    ...settings.length > 0 ? [row("", () => ""), row("settings that differ", () => "")] : [],
    ...settings,
  ];
  const left = metrics.length - shown.length;
  const which = shown.length < results.length ? `The ${shown.length} figures that differ most; ` : "";
  const note = left > 0 ? `\n${which}${left} more metrics with --all` : "";
  return withLossWarning(textTable(rows, undefined, width) + note, runs);
}

/** Rows that name the runs; the time and the name of a default folder have separate rows, so that more runs fit. */
function headings(runs: readonly RunSummary[]): string[][] {
  const isNamed = new Set(runs.map(({ name }) => name)).size === runs.length;
  const names = runs.map((run) => isNamed ? run.name : shortKey(run));
  const stamped = names.map((name) => /^(\d{8}-\d{6})-(.+)$/.exec(name) ?? []);
  if (stamped.some(({ length }) => length === 0)) return [["", ...names]];
  return [1, 2].map((part) => ["", ...stamped.map((match) => match[part])]);
}

/** The spread of a metric between runs, relative to its size; 0 if fewer than two runs have it. */
function spread(runs: readonly RunSummary[], name: string): number {
  const values = runs.map(({ metrics }) => metrics[name]).filter(Number.isFinite);
  const largest = Math.max(...values.map(Math.abs));
  return largest > 0 ? (Math.max(...values) - Math.min(...values)) / largest : 0;
}

/** A table of losses, with a warning below if they cannot be compared. */
function withLossWarning(table: string, runs: readonly RunSummary[]): string {
  const measured = runs.filter((run) => losses.some((name) => metric(run, name) !== ""));
  const warning = lossWarning(measured.map(({ params, dataset }) => ({ settings: params, dataset })));
  return warning === undefined ? table : `${table}\n${warning}`;
}

/** The result of a run: `residual`, `residual map` of a distillation, `mine.ts`, or `study`. */
function networkOf(run: RunSummary): string {
  if (setting(run, "plan") !== "") return "study";
  const model = basename(setting(run, "model"));
  return setting(run, "teacher") !== "" ? `${model} map` : model;
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

/** Minutes of training in all sessions of a run; without the metric, minutes from start to end. */
function minutes({ startedAt, endedAt, metrics: { elapsed_seconds: trained } }: RunSummary): string {
  const ms = trained >= 0 ? 1000 * trained : (endedAt ?? NaN) - startedAt;
  return ms >= 0 ? (ms / 60e3).toFixed(1) : "";
}
