import { join } from "node:path";
import { reasonOf, RunError } from "../run/atomic_write.ts";
import { shownWord } from "../run/server_url.ts";
import { ConfigError, didYouMean } from "../settings/setting.ts";
import { FolderStore } from "./folder_store.ts";
import type { RunSummary } from "./store.ts";

/** What tells listed runs apart. */
type Listed = Pick<RunSummary, "key" | "name"> & Partial<Pick<RunSummary, "startedAt" | "standsFor">>;

/** The folder of all runs, where tasks look if nothing else is said. */
export const runsRoot = "runs";

/**
 * Finds the folder of a run, by the same names in every task: its path, its name in the folder of runs, or the name that
 * it was given, of several runs that of the latest.
 *
 * @param name what the user calls it
 * @param root the folder of runs
 * @throws {ConfigError} if there is no such run; the message names the nearest
 * @throws {RunError} if a folder cannot be looked at
 */
export async function findRun(name: string, root: string = runsRoot): Promise<string> {
  const folders = name === "" ? [] : [name, join(root, name)];
  for (const folder of folders) if (await isFolder(folder)) return folder;
  const runs = await new FolderStore(root).list();
  const found = latestNamed(runs, name);
  if (found) return found.key;
  if (await isFile(name)) {
    throw new ConfigError(
      `Cannot find the run ${
        shownWord(name)
      }: it is a file (expected the folder of a run; tasks that take weights ` +
        "alone take them as --checkpoint FILE)",
    );
  }
  throw new ConfigError(
    `Cannot find the run ${shownWord(name)}: there is no such folder${
      nearestOf(name, runs.map(({ key }) => key))
    }`,
  );
}

/** As {@linkcode findRun}, for several names. */
export async function findRuns(names: readonly string[], root?: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) found.push(await findRun(name, root)); // in turn: of two errors always the same is told
  return found;
}

/**
 * Finds one of listed runs: by its folder or its id on a server, its name in the folder of runs, or the name that it was
 * given, of several runs that of the latest.
 */
export function findListed<Run extends Listed>(
  runs: readonly Run[],
  name: string,
  root: string = runsRoot,
): Run | undefined {
  return runs.find(({ key }) => key === name) ?? runs.find(({ key }) => key === join(root, name)) ??
    latestNamed(runs, name);
}

/** The run of a name that began last; a copy in a comparison only if there is no other. */
function latestNamed<Run extends Listed>(runs: readonly Run[], name: string): Run | undefined {
  const named = runs.filter((run) => run.name === name);
  const originals = named.filter(({ standsFor }) => standsFor === undefined);
  const start = ({ startedAt }: Run) => startedAt ?? 0;
  return (originals.length > 0 ? originals : named).sort((a, b) => start(a) - start(b)).at(-1);
}

/** The nearest name, or all names where they are few. */
export function nearestOf(name: string, known: readonly string[]): string {
  const meant = didYouMean(name, known);
  if (meant !== "" || known.length === 0) return meant;
  return known.length <= 10 ? ` (there are ${known.join(", ")})` : " (see deno task runs)";
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((found) => found.isFile, () => false);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw new RunError(`Cannot look for the run ${path}: ${reasonOf(error)}`);
  }
}
