import { MlflowClient, type ServerRun } from "./client.ts";
import { standsForTag } from "./description.ts";
import { awaitedServer, ServerError } from "./http.ts";
import type { Choice } from "./settings.ts";
import type { RunStore, RunSummary } from "./store.ts";

/** Runs on an MLflow server, ours and those of other programs. */
export class ServerStore implements RunStore {
  readonly #client: MlflowClient;
  readonly #experiment: string;
  readonly #artifactUris = new Map<string, string>();

  /** @param choice its `experiment` is the default */
  constructor({ address, patience, experiment }: Required<Omit<Choice, "runName">>) {
    this.#client = new MlflowClient(awaitedServer(address, patience));
    this.#experiment = experiment;
  }

  get description(): string {
    return `experiment ${this.#experiment} of ${this.#client.url}`;
  }

  async list(experiment = this.#experiment): Promise<RunSummary[]> {
    const found = await this.#client.experiment(experiment);
    if (found === undefined) {
      throw new ServerError(`${this.#client.url} has no experiment ${experiment}`, { passing: false });
    }
    const runs = await this.#client.searchRuns(found.id);
    for (const { info } of runs) this.#artifactUris.set(info.run_id, info.artifact_uri);
    return runs.map((run) => summaryOf(run, experiment));
  }

  async files({ key }: RunSummary): Promise<string[]> {
    return (await this.#client.artifacts(key)).sort();
  }

  async read({ key }: RunSummary, path: string): Promise<Uint8Array> {
    const uri = this.#artifactUris.get(key) ?? (await this.#client.run(key)).info.artifact_uri;
    return await this.#client.artifact(uri, path);
  }
}

function summaryOf({ info, data }: ServerRun, experiment: string): RunSummary {
  const standsFor = data.tags.find(({ key }) => key === standsForTag)?.value;
  return {
    key: info.run_id,
    name: info.run_name ?? info.run_id,
    experiment,
    status: info.status,
    ...standsFor !== undefined && { standsFor },
    startedAt: info.start_time ?? null,
    endedAt: info.end_time ?? null,
    params: Object.fromEntries(data.params.map(({ key, value }) => [key, value])),
    metrics: Object.fromEntries(data.metrics.map(({ key, value }) => [key, value])),
  };
}
