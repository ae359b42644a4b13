import { join } from "node:path";
import { readFile } from "../run/run_folder.ts";
import { ConfigError } from "../cli/setting.ts";
import { chooseTracking } from "./choose_tracking.ts";
import { standsForTag } from "./describe_run.ts";
import { listRuns, type RunSummary } from "./find_run.ts";
import { awaitedServer, ServerError } from "./http_server.ts";
import type { ServerRun } from "./mlflow_endpoints.ts";
import { MlflowClient } from "./mlflow_client.ts";
import { runFiles } from "./run_files.ts";

/** A run and its files, in a folder or on a server. */
export interface StoredRun extends RunSummary {
  files(): Promise<string[]>;
  read(path: string): Promise<Uint8Array>;
}

/** Options for finding runs. */
export interface StoreChoice {
  readonly from: "folders" | "server";
  readonly mlflow: string | null;
  /** The folder that holds the runs. */
  readonly root: string;
  readonly experiment: string | null;
}

/**
 * The runs in folders, or those of an experiment on a server, oldest first.
 *
 * @param say called with a line for each folder that is skipped because it is damaged
 * @returns the runs, and a description of where they are
 * @throws {ConfigError} if a server is requested but not named, or it cannot be used
 * @throws {RunError} if the folder cannot be read
 * @throws {ServerError} if the server cannot be reached, or has no such experiment
 */
export async function storedRuns(
  { from, mlflow, root, experiment }: StoreChoice,
  say?: (message: string) => void,
): Promise<{ runs: StoredRun[]; place: string }> {
  if (from === "folders" && mlflow === null) {
    const runs = (await listRuns(root, experiment, say)).map((run) => ({
      ...run,
      files: async () => (await runFiles(run.key)).map(({ path }) => path),
      read: (path: string) => readFile(join(run.key, path), run.key),
    }));
    return { runs, place: root };
  }
  const { target, experiment: name } = chooseTracking({ mlflow, experiment });
  if (target === undefined) {
    throw new ConfigError(
      "Cannot look for runs on a server: no server is named (expected --mlflow URI or MLFLOW_TRACKING_URI)",
    );
  }
  const client = new MlflowClient(awaitedServer(target));
  const found = await client.experiment(name);
  if (found === undefined) throw new ServerError(`${client.url} has no experiment ${name}`);
  const runs = (await client.searchRuns(found.id)).map((run) => ({
    ...summaryOf(run, name),
    files: async () => [...(await client.artifacts(run.info.run_id)).keys()].sort(),
    read: (path: string) => client.artifact(run.info.artifact_uri ?? "", path),
  }));
  return { runs, place: `experiment ${name} of ${client.url}` };
}

function summaryOf({ info, data }: ServerRun, experiment: string): RunSummary {
  const { metrics = [], params = [], tags = [] } = data ?? {};
  const dataset = params.find(({ key }) => key === "dataset")?.value;
  const standsFor = tags.find(({ key }) => key === standsForTag)?.value;
  return {
    key: info.run_id,
    name: info.run_name ?? info.run_id,
    experiment,
    status: info.status ?? "RUNNING",
    ...standsFor && { standsFor },
    startedAt: info.start_time ?? null,
    endedAt: info.end_time ?? null,
    params: Object.fromEntries(params.map(({ key, value }) => [key, value ?? ""])),
    ...dataset && { dataset: { name: dataset } },
    metrics: Object.fromEntries(metrics.map(({ key, value }) => [key, Number(value)])),
  };
}
