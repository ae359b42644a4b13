import { basename, resolve } from "node:path";
import { RunError } from "../run/atomic_write.ts";
import { type FlowSnapshots, readFlowSnapshots } from "./snapshot_files.ts";
import { ConfigError } from "../settings/setting.ts";
import { findListed, findRun, nearestOf } from "../tracking/find_run.ts";
import { openStore, type StoreChoice } from "../tracking/open_store.ts";
import { loadSnapshots } from "./load_snapshots.ts";
import type { RunSummary } from "../tracking/store.ts";

/** A run and the trajectories it stores. */
export interface StoredFlow {
  readonly name: string;
  /** Its folder, or its id on a server. */
  readonly key: string;
  readonly samples: readonly FlowSnapshots[];
  /** What a store tells of the run, where it was found by its experiment. */
  readonly summary?: RunSummary;
}

/**
 * Loads the trajectories of runs: of named folders, or of all or named runs of an experiment.
 *
 * @param runs folders, or names or ids of runs of the experiment
 * @param where a server or an `experiment` here means that runs are looked up in a store
 * @throws {ConfigError} if no run is named, or there is no run of a name
 * @throws {RunError} if a run has no snapshots
 */
export async function loadFlows(runs: readonly string[], where: StoreChoice): Promise<StoredFlow[]> {
  const stored = where.from === "server" || where.mlflow !== null || where.experiment !== null;
  if (!stored && runs.length === 0) {
    throw new ConfigError("Missing RUN: name the folder of a run, or an --experiment (see --help)");
  }
  return stored ? await fromStore(runs, where) : await Promise.all(runs.map((run) => fromFolder(run, where)));
}

async function fromFolder(run: string, { root }: StoreChoice): Promise<StoredFlow> {
  const folder = await findRun(run, root);
  return { name: basename(resolve(folder)), key: folder, samples: await readFlowSnapshots(folder) };
}

async function fromStore(runs: readonly string[], where: StoreChoice): Promise<StoredFlow[]> {
  const store = openStore(where);
  const flows = (await loadSnapshots(store, where.experiment ?? undefined))
    .map(({ run, samples }) => ({ name: run.name, key: run.key, samples, summary: run }));
  if (flows.length === 0) {
    const experiment = where.experiment === null ? "" : ` of experiment ${where.experiment}`;
    throw new RunError(`Cannot find snapshots: no run${experiment} in ${store.description} stores any`);
  }
  if (runs.length === 0) return flows;
  return runs.map((run) => {
    const found = findListed(flows, run, where.root);
    if (found) return found;
    const known = flows.map(({ name }) => name);
    throw new ConfigError(
      `Cannot find a run ${run} with snapshots in ${store.description}${nearestOf(run, known)}`,
    );
  });
}
