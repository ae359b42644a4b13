/** Finds, lists and summarises runs in folders, and shows them in tables. */

import { basename, dirname, join } from "node:path";
import { shownWord, startCommand } from "../run/program_files.ts";
import { RunError } from "../run/run_folder.ts";
import { aboutFile, runFile, shownIn } from "../run/files.ts";
import { type LossData, lossWarning } from "../settings/comparable_losses.ts";
import { asText, ConfigError, didYouMean } from "../cli/settings.ts";
import { lineWidth, printable, say as tellUser, textTable } from "../cli/output.ts";
import { isResult, latestOf, readSettings, settingsOf, sortedMetrics } from "./describe_run.ts";
import { nestedRuns, requireRecord, runFolders, type RunRecord } from "./record.ts";

/** The folder of all runs, where tasks look by default. */
export const runsRoot = "runs";

/** Summary of a run. */
export interface RunSummary
  extends Pick<RunRecord, "name" | "experiment" | "status" | "startedAt" | "endedAt"> {
  /** Its folder. */
  readonly key: string;
  /** Settings by name. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly dataset?: LossData;
  /** The latest value of every metric. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** Summarises the runs in a folder, and those nested in them; `say` gets a line for each damaged one, which is skipped. */
export async function listRuns(
  root: string,
  experiment?: string | null,
  say: (message: string) => void = tellUser,
): Promise<RunSummary[]> {
  const skipping = (error: unknown) => {
    if (!(error instanceof RunError)) throw error;
    say(printable(`Skipped: ${error.message}`));
  };
  const summaries: RunSummary[] = [];
  for (const run of await runFolders(root)) {
    for (const folder of [run, ...await nestedRuns(run).catch(skipping) ?? []]) {
      const summary = await summarizeRun(folder).catch(skipping);
      if (summary && (!experiment || summary.experiment === experiment)) summaries.push(summary);
    }
  }
  return summaries;
}

/** Summarises a run from its folder. */
export async function summarizeRun(folder: string): Promise<RunSummary> {
  const record = await requireRecord(folder, "read");
  const { name, experiment, status, startedAt, endedAt, dataset } = record;
  const metrics = Object.entries(await latestOf(folder, startedAt)).map(([key, { value }]) => [key, value]);
  return {
    ...{ key: folder, name, experiment, status, startedAt, endedAt },
    params: settingsOf(record, await readSettings(folder)),
    ...dataset && { dataset: { name: dataset.name, digest: dataset.digest } },
    metrics: Object.fromEntries(metrics),
  };
}

/**
 * Finds the folder of a run by its path, the path of one of its files, its folder's name below `root`, or the name of the
 * run, set by `--run-name` or `--name`; if several have that name, the latest one.
 */
export async function findRun(name: string, root: string = runsRoot): Promise<string> {
  for (const folder of [name, join(root, name)]) {
    if (name !== "" && (await infoOf(folder))?.isDirectory) return folder;
  }
  const runs = await listRuns(root);
  const found = latestNamed(runs, name);
  if (found) return found.key;
  const isFile = (await infoOf(name))?.isFile;
  for (const folder of isFile ? [dirname(name), dirname(dirname(name))] : []) {
    if (await infoOf(join(folder, runFile.record))) return folder;
  }
  const [meant, keys] = [latestNamed(runs, basename(name)), runs.map(({ key }) => key)];
  const why = isFile
    ? "it is a file outside of a run (expected the folder of a run, or a file in it)"
    : `there is no such folder${meant ? ` (did you mean ${meant.key}?)` : nearestOf(name, keys)}`;
  throw new ConfigError(`Cannot find the run ${shownWord(name)}: ${why}`);
}

/** Finds the config that `--config` names: an existing file, or else a run, see {@linkcode findRun}. */
export async function findConfig(name: string): Promise<string> {
  return (await infoOf(name))?.isFile ? name : await findRun(name);
}

/** Finds several runs, one by one, so that the first error is thrown. */
export async function findRuns(names: readonly string[], root?: string): Promise<string[]> {
  return await Array.fromAsync(names, (name) => findRun(name, root));
}

/** The latest run with a name, or else with that `--name`, which ends a folder's name. */
function latestNamed(runs: readonly RunSummary[], name: string): RunSummary | undefined {
  const stamped = new RegExp(`^\\d{8}-\\d{6}-${RegExp.escape(name)}$`);
  const named = runs.filter((run) => run.name === name);
  const all = named.length > 0 ? named : runs.filter(({ key }) => stamped.test(basename(key)));
  return all.toSorted((a, b) => a.startedAt - b.startedAt).at(-1);
}

/** A hint for an error: the nearest name, or all names if there are few. */
export function nearestOf(name: string, names: readonly string[]): string {
  const meant = didYouMean(name, names);
  if (meant !== "" || names.length === 0) return meant;
  return names.length <= 10 ? ` (there are ${names.join(", ")})` : ` (see ${startCommand("runs")})`;
}

function infoOf(path: string): Promise<Deno.FileInfo | undefined> {
  return Deno.stat(path).catch(() => undefined);
}

/** Losses, which have their own columns in the list. */
const losses = ["train_loss", "val_loss", "test_loss"];

/** Facts about a run, and how important they are in a list; 0 only in a full description. */
const facts: readonly (readonly [name: string, weight: number, of: (run: RunSummary) => string])[] = [
  ["run", 9, ({ key }) => key.replace(/^runs[\\/]/, "")], // as other tasks accept it
  ["name", 5, ({ name }) => name],
  ["experiment", 0, ({ experiment }) => experiment],
  ["status", 9, ({ status }) => status],
  ["started (UTC)", 1, ({ startedAt }) => new Date(startedAt).toISOString().slice(0, 16).replace("T", " ")],
  ["minutes", 6, minutes],
  ["network", 9, networkOf],
  ["filters", 2, (run) => setting(run, "filters")],
  ["data", 8, ({ dataset }) => dataset?.name ?? ""],
  ...losses.map((name, i) => [name, [3, 4, 7][i], (run: RunSummary) => metric(run, name)] as const),
];

/** A table of runs, one per line, with as many columns as fit; those of least weight are left out first. */
export function listTable(runs: readonly RunSummary[], width = lineWidth()): string {
  const isNamed = runs.some(({ key, name }) => basename(key) !== name);
  let columns = facts.filter(([name, weight]) => weight > 0 && (isNamed || name !== "name"))
    .map(([name, weight, of]) => ({ weight, cells: [name, ...runs.map(of)] }))
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
  const about = facts.slice(1, 9).map(([name, , of]) => [name, of(run)]).filter(([name, value]) =>
    value && name !== "filters"
  );
  const metrics = sortedMetrics(Object.keys(run.metrics)).map((name) => [name, metric(run, name)]);
  const settings = Object.keys(run.params).map((name) => [name, setting(run, name)]);
  const described = files.map((path) => [printable(path), aboutFile(path), shownIn(path)]);
  return [
    textTable([["run", run.key], ...about]),
    `Latest metrics\n${textTable(metrics)}`,
    `Settings\n${textTable(settings)}`,
    `Files\n${textTable(described)}`,
  ].join("\n\n");
}

/** Maximum number of figures in {@linkcode compareTable}, and of characters of a setting, such as a path. */
const [maxFigures, maxCell] = [10, 24];

/** A table of runs side by side: the results that differ most, or all metrics, then the settings that differ. */
export function compareTable(runs: readonly RunSummary[], isAll = false, width = lineWidth()): string {
  const row = (name: string, cell: (run: RunSummary) => string) => [name, ...runs.map(cell)];
  const names = (all: readonly object[]) => [...new Set(all.flatMap((values) => Object.keys(values)))];
  const metrics = sortedMetrics(names(runs.map(({ metrics }) => metrics)));
  const results = metrics.filter(isResult);
  const differing = results.toSorted((a, b) => spread(runs, b) - spread(runs, a)).slice(0, maxFigures);
  const shown = isAll ? metrics : results.filter((name) => differing.includes(name));
  const clipped = (text: string) => text.length > maxCell ? `...${text.slice(3 - maxCell)}` : text;
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
  const names = runs.map((run) => isNamed ? run.name : facts[0][2](run));
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
  const model = basename(setting(run, "model"));
  return setting(run, "plan") ? "study" : setting(run, "teacher") ? `${model} map` : model;
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
