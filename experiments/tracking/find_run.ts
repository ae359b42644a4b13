/** Finds, lists and summarises runs in folders. */

import { basename, dirname, join } from "node:path";
import { shownWord, startCommand } from "../run/program_files.ts";
import { RunError } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import type { LossData } from "../settings/comparable_losses.ts";
import { ConfigError, didYouMean } from "../cli/settings.ts";
import { printable, say as tellUser } from "../cli/output.ts";
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
  const { latestOf, readSettings, settingsOf } = await import("./describe_run.ts");
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
