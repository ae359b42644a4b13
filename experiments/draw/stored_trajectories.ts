import { basename, resolve } from "node:path";
import { SafetensorsError } from "../../models/mod.ts";
import { RunError } from "../run/run_folder.ts";
import { ConfigError } from "../cli/settings.ts";
import { printable, say as tellUser } from "../cli/output.ts";
import { findRun, listRuns } from "../tracking/find_run.ts";
import { findTrajectories, readTrajectories, type StoredTrajectory } from "./trajectories.ts";

/** A run with its stored trajectories. */
export interface RunTrajectories {
  readonly name: string;
  /** The run's folder. */
  readonly key: string;
  /** In order of their numbers. */
  readonly samples: readonly StoredTrajectory[];
}

/**
 * Loads the trajectories of runs, or of all runs of an experiment that store them.
 *
 * @param names of runs, see {@linkcode findRun}
 * @throws {ConfigError} if no run is named, or a named run does not exist
 * @throws {RunError} if a named run, or every run of the experiment, has no trajectories
 */
export async function loadTrajectories(
  names: readonly string[],
  { root, experiment }: { readonly root: string; readonly experiment: string | null },
): Promise<RunTrajectories[]> {
  if (names.length === 0 && experiment === null) {
    throw new ConfigError("Missing RUN: name the folder of a run, or an --experiment (see --help)");
  }
  if (names.length === 0) return await ofExperiment(root, experiment);
  return await Promise.all(names.map(async (name) => {
    const folder = await findRun(name, root);
    return { name: basename(resolve(folder)), key: folder, samples: await readTrajectories(folder) };
  }));
}

/**
 * Loads the trajectories of the runs that store them.
 *
 * @param say called with a message for each run that is skipped because of a damaged file
 */
export async function ofExperiment(
  root: string,
  experiment: string | null,
  say: (message: string) => void = tellUser,
): Promise<RunTrajectories[]> {
  const loaded: RunTrajectories[] = [];
  for (const { name, key } of await listRuns(root, experiment, say)) {
    try {
      const samples = await findTrajectories(key);
      if (samples.length > 0) loaded.push({ name, key, samples });
    } catch (error) {
      if (!(error instanceof RunError || error instanceof SafetensorsError)) throw error;
      say(printable(`Skipped: ${error.message}`));
    }
  }
  if (loaded.length > 0) return loaded;
  throw new RunError(`Cannot find trajectories: no run of experiment ${experiment} in ${root} stores any`);
}
