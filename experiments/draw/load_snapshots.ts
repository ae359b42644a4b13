import { decodeFlowSnapshots, type FlowSnapshots } from "./snapshot_files.ts";
import type { RunStore, RunSummary } from "../tracking/store.ts";
import { isFlowFile } from "../run/layout.ts";

/** A run with the evolutions of its samples. */
export interface RunFlow {
  readonly run: RunSummary;
  /** In the order of their numbers. */
  readonly samples: readonly FlowSnapshots[];
}

/**
 * Loads the flow snapshots of all runs of an experiment, to compare them; runs without any are left out.
 *
 * @param store run folders or a server
 * @param experiment its name; not given, all runs of a folder, or the server store's own experiment
 * @throws {RunError} if a folder cannot be read, or a file holds no snapshots
 * @throws {ServerError} if the server cannot be reached
 * @throws {SafetensorsError} if a file is damaged
 */
export async function loadSnapshots(store: RunStore, experiment?: string): Promise<RunFlow[]> {
  const flows: RunFlow[] = [];
  for (const run of await store.list(experiment)) {
    const paths = (await store.files(run)).filter((path) => isFlowFile(path));
    const samples = await Promise.all(paths.map(async (path) => {
      return decodeFlowSnapshots(await store.read(run, path), `${run.key}/${path}`);
    }));
    if (samples.length > 0) flows.push({ run, samples: samples.sort((a, b) => a.k - b.k) });
  }
  return flows;
}
