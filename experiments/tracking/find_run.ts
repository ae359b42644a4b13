/** Finds, lists and summarises runs in folders, and shows them in tables. */

import { basename, dirname, join } from "node:path";
import { shownWord, startCommand } from "../run/program_files.ts";
import { RunError } from "../run/run_folder.ts";
import { aboutFile, runFile, shownIn } from "../run/files.ts";
import { type LossData, lossWarning } from "../cli/training_config.ts";
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
    key: folder,
    name,
    experiment,
    status,
    startedAt,
    endedAt,
    params: settingsOf(record, await readSettings(folder)),
    dataset: dataset ? { name: dataset.name, digest: dataset.digest } : undefined,
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
  const problem = `Cannot find the run ${shownWord(name)}`;
  if (isFile) {
    throw new ConfigError(
      `${problem}: it is a file outside of a run (expected the folder of a run, or a file in it)`,
    );
  }
  const meant = latestNamed(runs, basename(name));
  const hint = meant ? ` (did you mean ${meant.key}?)` : nearestOf(name, runs.map(({ key }) => key));
  throw new ConfigError(`${problem}: there is no such folder${hint}`);
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

/** The weight of columns that a list never leaves out. */
const mostImportant = 9;

/** A fact about a run; empty text if it is unknown. */
interface Fact {
  readonly name: string;
  of(run: RunSummary): string;
}

/** A fact in a list of runs. */
interface ListedFact extends Fact {
  /** How important it is, from 1 to 9: if a line is too short, the least important columns are left out. */
  readonly weight: number;
}

const theRun: ListedFact = {
  name: "run",
  weight: mostImportant,
  of: ({ key }) => key.replace(/^runs[\\/]/, ""), // as other tasks accept it
};
const theName: ListedFact = { name: "name", weight: 5, of: ({ name }) => name };
const theExperiment: Fact = { name: "experiment", of: ({ experiment }) => experiment };
const theStatus: ListedFact = { name: "status", weight: mostImportant, of: ({ status }) => status };
const theStart: ListedFact = {
  name: "started (UTC)",
  weight: 1,
  of: ({ startedAt }) => new Date(startedAt).toISOString().slice(0, 16).replace("T", " "),
};
const theMinutes: ListedFact = { name: "minutes", weight: 6, of: minutes };
const theNetwork: ListedFact = { name: "network", weight: mostImportant, of: networkOf };
const theFilters: ListedFact = { name: "filters", weight: 2, of: (run) => setting(run, "filters") };
const theData: ListedFact = { name: "data", weight: 8, of: ({ dataset }) => dataset?.name ?? "" };
const theLosses: readonly ListedFact[] = [
  { name: "train_loss", weight: 3, of: (run) => metric(run, "train_loss") },
  { name: "val_loss", weight: 4, of: (run) => metric(run, "val_loss") },
  { name: "test_loss", weight: 7, of: (run) => metric(run, "test_loss") },
];

/** The columns of a list of runs, in order. */
const listed: readonly ListedFact[] = [
  theRun,
  theName,
  theStatus,
  theStart,
  theMinutes,
  theNetwork,
  theFilters,
  theData,
  ...theLosses,
];

/** What a description of one run begins with, in order; its metrics and settings follow as tables. */
const described: readonly Fact[] = [
  theName,
  theExperiment,
  theStatus,
  theStart,
  theMinutes,
  theNetwork,
  theData,
];

/** A column of a list of runs: its heading, and a cell for each run. */
interface Column {
  readonly weight: number;
  readonly cells: readonly string[];
}

/** A table of runs, one per line, with as many columns as fit; those of least weight are left out first. */
export function listTable(runs: readonly RunSummary[], width = lineWidth()): string {
  const isNamed = runs.some(({ key, name }) => basename(key) !== name);
  let columns = listed
    .filter((fact) => isNamed || fact !== theName)
    .map(({ name, weight, of }): Column => ({ weight, cells: [name, ...runs.map(of)] }))
    .filter(({ cells: [, ...values] }) => values.some((value) => value !== ""));
  for (let least = 1; least < mostImportant && widthOf(columns) > width; least++) {
    columns = columns.filter(({ weight }) => weight > least);
  }
  const rows = Array.from({ length: 1 + runs.length }, (_, row) => columns.map(({ cells }) => cells[row]));
  return withLossWarning(textTable(rows, undefined, width), runs);
}

/** The characters that columns take in a line, each with two spaces before it. */
function widthOf(columns: readonly Column[]): number {
  const widths = columns.map(({ cells }) => Math.max(...cells.map((cell) => [...cell].length)));
  return widths.reduce((sum, width) => sum + width + 2, 0);
}

/** All facts about a run. */
export function showTable(run: RunSummary, files: readonly string[]): string {
  const about = described.map(({ name, of }) => [name, of(run)]).filter(([, value]) => value !== "");
  const metrics = sortedMetrics(Object.keys(run.metrics)).map((name) => [name, metric(run, name)]);
  const settings = Object.keys(run.params).map((name) => [name, setting(run, name)]);
  const contents = files.map((path) => [printable(path), aboutFile(path), shownIn(path)]);
  return [
    textTable([["run", run.key], ...about]),
    `Latest metrics\n${textTable(metrics)}`,
    `Settings\n${textTable(settings)}`,
    `Files\n${textTable(contents)}`,
  ].join("\n\n");
}

/** Maximum number of figures in {@linkcode compareTable}. */
const maxFigures = 10;
/** Maximum characters of a setting in it, such as a path. */
const maxCell = 24;

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
  const names = runs.map((run) => isNamed ? run.name : theRun.of(run));
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
  const measured = runs.filter((run) => theLosses.some(({ of }) => of(run) !== ""));
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
