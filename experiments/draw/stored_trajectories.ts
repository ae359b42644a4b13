import { basename, resolve } from "node:path";
import { SafetensorsError } from "../../models/mod.ts";
import { RunError } from "../run/run_folder.ts";
import { shownWord } from "../run/program_files.ts";
import { ConfigError } from "../cli/setting.ts";
import { printable, say as tellUser } from "../cli/output.ts";
import { findListed, findRun, nearestOf, type RunSummary } from "../tracking/find_run.ts";
import { type StoreChoice, type StoredRun, storedRuns } from "../tracking/stored_runs.ts";
import { decodeTrajectories, readTrajectories, type StoredTrajectory } from "./trajectories.ts";

/** A run with its stored trajectories. */
export interface RunTrajectories {
  readonly name: string;
  /** The run's folder, or its id on a server. */
  readonly key: string;
  /** In order of their numbers. */
  readonly samples: readonly StoredTrajectory[];
  /** The store's summary of the run, if the run was found by its experiment. */
  readonly summary?: RunSummary;
}

/**
 * Loads the trajectories of runs: of named folders, or of all or named runs of an experiment.
 *
 * @param runs folders, or names or ids of runs of the experiment
 * @param where the store to search, used if it names a server or an `experiment`
 * @throws {ConfigError} if no run is named, or a named run does not exist
 * @throws {RunError} if a run has no trajectories
 */
export async function loadTrajectories(
  runs: readonly string[],
  where: StoreChoice,
): Promise<RunTrajectories[]> {
  if (where.from === "server" || where.mlflow !== null || where.experiment !== null) {
    return await fromStore(runs, where);
  }
  if (runs.length === 0) {
    throw new ConfigError("Missing RUN: name the folder of a run, or an --experiment (see --help)");
  }
  return await Promise.all(runs.map(async (run) => {
    const folder = await findRun(run, where.root);
    return { name: basename(resolve(folder)), key: folder, samples: await readTrajectories(folder) };
  }));
}

async function fromStore(names: readonly string[], where: StoreChoice): Promise<RunTrajectories[]> {
  const { runs, place } = await storedRuns(where);
  const requested = names.map((name) => {
    const match = findListed(runs, name, where.root);
    if (match) return match;
    const runNames = runs.map((run) => run.name);
    throw new ConfigError(`Cannot find the run ${shownWord(name)} in ${place}${nearestOf(name, runNames)}`);
  });
  const loaded = await loadStoredTrajectories(names.length > 0 ? requested : runs);
  const missing = requested.find(({ key }) => !loaded.some((run) => run.key === key));
  if (loaded.length > 0 && !missing) return loaded;
  const subject = where.experiment ? `no run of experiment ${where.experiment}` : "no run";
  throw new RunError(
    `Cannot find trajectories: ${missing ? `the run ${missing.name}` : subject} in ${place} stores ` +
      (missing ? "none" : "any"),
  );
}

/**
 * Loads the trajectories of the runs that store them.
 *
 * @param say called with a message for each run that is skipped because of a damaged file
 */
export async function loadStoredTrajectories(
  runs: readonly StoredRun[],
  say: (message: string) => void = tellUser,
): Promise<RunTrajectories[]> {
  const loaded: RunTrajectories[] = [];
  for (const run of runs) {
    const { name, key } = run;
    try {
      const samples = await decodeTrajectories(key, await run.files(), (path) => run.read(path));
      if (samples.length > 0) loaded.push({ name, key, samples, summary: run });
    } catch (error) {
      if (!(error instanceof RunError || error instanceof SafetensorsError)) throw error;
      say(printable(`Skipped: ${error.message}`));
    }
  }
  return loaded;
}
