/** Lists, finds and summarises runs in folders. */

import { basename, dirname, join } from "node:path";
import { shownWord, startCommand } from "../run/program_files.ts";
import { reasonOf, RunError } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { readMetrics } from "../run/metrics_log.ts";
import type { LossData } from "../cli/loss_meaning.ts";
import { ConfigError, didYouMean } from "../cli/setting.ts";
import { printable, say as tellUser } from "../cli/output.ts";
import { readSettings, settingsOf } from "./describe_run.ts";
import { requireRecord } from "./record.ts";
import { nestedRuns, runFolders } from "./run_files.ts";

/** The folder of all runs, where tasks look by default. */
export const runsRoot = "runs";

/** Summary of a run. Times are milliseconds since 1970. */
export interface RunSummary {
  /** Its folder, or its id on a server. */
  readonly key: string;
  readonly name: string;
  readonly experiment: string;
  /** In MLflow's terms. */
  readonly status: string;
  /** In a comparison, our id of the original run. */
  readonly standsFor?: string;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** Settings by name; those from a server are text. */
  readonly params: Readonly<Record<string, unknown>>;
  /** The data it trained on, if known. */
  readonly dataset?: LossData;
  /** The latest value of every metric. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Summarises the runs in a folder, and the runs nested in them.
 *
 * @param experiment lists only the runs of this experiment
 * @param say called with a line for each run that is skipped because it is damaged
 * @throws {RunError} if the folder cannot be read
 */
export async function listRuns(
  root: string,
  experiment?: string | null,
  say: (message: string) => void = tellUser,
): Promise<RunSummary[]> {
  const unlessDamaged = async <Value>(read: () => Promise<Value>): Promise<Value | undefined> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      say(printable(`Skipped: ${error.message}`));
    }
  };
  const summaries: RunSummary[] = [];
  for (const run of await runFolders(root)) {
    for (const folder of [run, ...await unlessDamaged(() => nestedRuns(run)) ?? []]) {
      const summary = await unlessDamaged(() => summarizeRun(folder));
      if (summary && (!experiment || summary.experiment === experiment)) summaries.push(summary);
    }
  }
  return summaries;
}

/**
 * Summarises a run from its folder.
 *
 * @throws {RunError} if the folder is not a run folder, or cannot be read
 */
export async function summarizeRun(folder: string): Promise<RunSummary> {
  const record = await requireRecord(folder, "read");
  const metrics: Record<string, number> = {};
  for (const { step: _, time: __, ...values } of await readMetrics(join(folder, runFile.metrics))) {
    for (const [key, value] of Object.entries(values)) {
      if (typeof value === "number") metrics[key] = value;
    }
  }
  const { name, experiment, status, standsFor, startedAt, endedAt, dataset } = record;
  const params = settingsOf(record, await readSettings(folder));
  return {
    key: folder,
    name,
    experiment,
    status,
    ...standsFor !== null && { standsFor },
    startedAt,
    endedAt,
    params,
    ...dataset && { dataset: { name: dataset.name, digest: dataset.digest } },
    metrics,
  };
}

/**
 * Finds the folder of a run by its path, the path of one of its files, its folder's name below `root`, or the name of the
 * run, set by `--run-name` or `--name`; if several have that name, the latest one.
 *
 * @param name path or name, as entered by the user
 * @param root the folder of runs
 * @throws {ConfigError} if there is no such run; the message suggests the nearest name
 * @throws {RunError} if a folder cannot be read
 */
export async function findRun(name: string, root: string = runsRoot): Promise<string> {
  for (const folder of name === "" ? [] : [name, join(root, name)]) {
    if ((await infoOf(folder))?.isDirectory) return folder;
  }
  const runs = await listRuns(root);
  const found = latestNamed(runs, name);
  if (found) return found.key;
  const isFile = (await infoOf(name))?.isFile;
  for (const folder of isFile ? [dirname(name), dirname(dirname(name))] : []) {
    if ((await infoOf(join(folder, runFile.record)))?.isFile) return folder;
  }
  const why = isFile
    ? "it is a file outside of a run (expected the folder of a run, or a file in it)"
    : `there is no such folder${nearestOf(name, runs.map(({ key }) => key))}`;
  throw new ConfigError(`Cannot find the run ${shownWord(name)}: ${why}`);
}

/** Finds the config that `--config` names: an existing file, or else a run, see {@linkcode findRun}. */
export async function findConfig(name: string): Promise<string> {
  return (await infoOf(name))?.isFile ? name : await findRun(name);
}

/** Finds several runs, see {@linkcode findRun}. */
export async function findRuns(names: readonly string[], root?: string): Promise<string[]> {
  const folders: string[] = [];
  for (const name of names) folders.push(await findRun(name, root)); // one by one, so that the first error is thrown
  return folders;
}

type Listed = Pick<RunSummary, "key" | "name"> & Partial<Pick<RunSummary, "startedAt" | "standsFor">>;

/**
 * Finds a listed run by its folder or its id on a server, by its folder's name below `root`, or by its name; if several
 * have that name, the latest one.
 */
export function findListed<Run extends Listed>(
  runs: readonly Run[],
  name: string,
  root: string = runsRoot,
): Run | undefined {
  return runs.find(({ key }) => key === name) ?? runs.find(({ key }) => key === join(root, name)) ??
    latestNamed(runs, name);
}

/**
 * The latest run with a name, or else with that `--name`, which follows the time in a folder's name; a copy in a
 * comparison counts only if there is no original.
 */
function latestNamed<Run extends Listed>(runs: readonly Run[], name: string): Run | undefined {
  const stamped = new RegExp(`^\\d{8}-\\d{6}-${RegExp.escape(name)}$`);
  const exact = runs.filter((run) => run.name === name);
  const named = exact.length > 0
    ? exact
    : runs.filter((run) => stamped.test(basename(run.key)) || stamped.test(run.name));
  const originals = named.filter(({ standsFor }) => standsFor === undefined);
  const start = ({ startedAt }: Run) => startedAt ?? 0;
  return (originals.length > 0 ? originals : named).sort((a, b) => start(a) - start(b)).at(-1);
}

/** A hint for an error: the nearest name, or all names if there are few. */
export function nearestOf(name: string, names: readonly string[]): string {
  const meant = didYouMean(name, names);
  if (meant !== "" || names.length === 0) return meant;
  return names.length <= 10 ? ` (there are ${names.join(", ")})` : ` (see ${startCommand("runs")})`;
}

async function infoOf(path: string): Promise<Deno.FileInfo | undefined> {
  if (path === "") return undefined; // with some permissions, Deno denies it before looking
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw new RunError(`Cannot look for the run ${path}: ${reasonOf(error)}`);
  }
}
