import { SafetensorsError } from "../../models/mod.ts";
import { RunError } from "../run/atomic_write.ts";
import { printable, say as tellUser } from "../terminal/output.ts";
import { decodeFlowSnapshots, type FlowSnapshots } from "./snapshot_files.ts";
import type { RunStore, RunSummary } from "../tracking/store.ts";
import { isFlowFile } from "../run/layout.ts";

/** A run with the trajectories of its samples. */
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
 * @param say called with a line for each run that is left out because a file of it is damaged
 * @throws {RunError} if the folder of the runs cannot be read
 * @throws {ServerError} if the server cannot be reached
 */
export async function loadSnapshots(
  store: RunStore,
  experiment?: string,
  say: (message: string) => void = tellUser,
): Promise<RunFlow[]> {
  const flows: RunFlow[] = [];
  for (const run of await store.list(experiment)) {
    let samples: FlowSnapshots[];
    try {
      samples = await samplesOf(store, run);
    } catch (error) {
      if (!(error instanceof RunError || error instanceof SafetensorsError)) throw error;
      say(printable(`Left out: ${error.message}`));
      continue;
    }
    if (samples.length > 0) flows.push({ run, samples: samples.sort((a, b) => a.k - b.k) });
  }
  return flows;
}

async function samplesOf(store: RunStore, run: RunSummary): Promise<FlowSnapshots[]> {
  const paths = (await store.files(run)).filter((path) => isFlowFile(path));
  return await Promise.all(paths.map(async (path) => {
    return decodeFlowSnapshots(await store.read(run, path), `${run.key}/${path}`);
  }));
}
