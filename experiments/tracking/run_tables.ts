import { basename } from "node:path";
import { printable, textTable } from "../program/output.ts";
import { lossWarning } from "../settings/loss_meaning.ts";
import type { RunSummary } from "./store.ts";

/** Metrics with a column in the list. */
const columns = ["train_loss", "val_loss", "test_loss"];

/** A table of runs, one per line. */
export function listTable(runs: readonly RunSummary[]): string {
  // A folder names its run; a server's id does not.
  const named = runs.some(({ key, name }) => basename(key) !== name);
  const head = [
    "run",
    ...named ? ["name"] : [],
    "status",
    "started (UTC)",
    "minutes",
    "model",
    "filters",
    ...columns,
  ];
  const rows = runs.map((run) => [
    run.key,
    ...named ? [run.name] : [],
    run.status,
    date(run.startedAt),
    minutes(run),
    run.params.model ?? "",
    run.params.filters ?? "",
    ...columns.map((name) => shown(own(run.metrics, name))),
  ]);
  return withLossWarning(textTable([head, ...rows]), runs);
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
  const metrics = Object.entries(run.metrics).map(([name, value]) => [name, shown(value)]);
  return [
    textTable(about),
    ["Latest metrics", textTable(metrics)].join("\n"),
    ["Settings", textTable(Object.entries(run.params))].join("\n"),
    ["Files", ...files.map(printable)].join("\n  "),
  ].join("\n\n");
}

/** Runs side by side: metrics, and the settings in which they differ. */
export function compareTable(runs: readonly RunSummary[]): string {
  const names = (values: readonly Readonly<Record<string, unknown>>[]) => [
    ...new Set(values.flatMap((value) => Object.keys(value))),
  ];
  const metrics = names(runs.map((run) => run.metrics)).map((name) => [
    name,
    ...runs.map((run) => shown(own(run.metrics, name))),
  ]);
  const settings = names(runs.map(({ params }) => params))
    .map((name) => [name, ...runs.map(({ params }) => own(params, name) ?? "")])
    .filter(([, first, ...others]) => others.some((value) => value !== first));
  const areNamed = new Set(runs.map(({ name }) => name)).size === runs.length;
  const rows = [
    ["", ...runs.map(({ key, name }) => areNamed ? name : key)],
    ["status", ...runs.map((run) => run.status)],
    ["minutes", ...runs.map(minutes)],
    ...metrics,
    ...settings,
  ];
  return withLossWarning(textTable(rows), runs);
}

/** A table of losses, and below it what keeps them from being compared. */
function withLossWarning(text: string, runs: readonly RunSummary[]): string {
  const warning = lossWarning(runs.filter(hasLoss).map(({ params }) => params));
  return warning === undefined ? text : `${text}\n${warning}`;
}

function hasLoss({ metrics }: RunSummary): boolean {
  return columns.some((name) => metrics[name] !== undefined);
}

/** A field by a name that may be any word, such as `constructor`. */
function own<T>(fields: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** Four digits, or all that stand before the point. */
function shown(value: number | undefined): string {
  if (value === undefined) return "";
  return String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
}

function date(ms: number | null): string {
  return ms === null || !(Math.abs(ms) <= 8.64e15)
    ? ""
    : new Date(ms).toISOString().slice(0, 16).replace("T", " ");
}

/** Minutes of training, in all sessions of a run; of a run that tells no such thing those between start and end. */
function minutes({ startedAt, endedAt, metrics: { elapsed_seconds: trained } }: RunSummary): string {
  if (trained >= 0) return (trained / 60).toFixed(1);
  if (startedAt === null || endedAt === null || endedAt < startedAt) return "";
  return ((endedAt - startedAt) / 60e3).toFixed(1);
}
