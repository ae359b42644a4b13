import type { MetricEntry, TextEntry } from "./entries.ts";
import { batches } from "./entries.ts";
import { type HttpServer, type RequestOptions, ServerError } from "./http.ts";

/** What a run can be, in MLflow's words. */
export const runStatuses = ["RUNNING", "FINISHED", "FAILED", "KILLED"] as const;

/** Status of a run. */
export type RunStatus = typeof runStatuses[number];

/** A run as the server returns it. */
export interface ServerRun {
  readonly info: {
    readonly run_id: string;
    readonly experiment_id: string;
    readonly run_name?: string;
    readonly status: RunStatus;
    readonly start_time?: number;
    readonly end_time?: number;
    readonly artifact_uri?: string;
    readonly lifecycle_stage: "active" | "deleted";
  };
  readonly data: {
    readonly metrics?: readonly { readonly key: string; readonly value: number | string; step?: number }[];
    readonly params?: readonly TextEntry[];
    readonly tags?: readonly TextEntry[];
  };
  readonly inputs?: { readonly dataset_inputs?: readonly DatasetInput[] };
}

/** A data set that a run uses. */
export interface DatasetInput {
  readonly tags: readonly TextEntry[];
  readonly dataset: {
    readonly name: string;
    readonly digest: string;
    readonly source_type: string;
    readonly source: string;
    readonly schema?: string;
    readonly profile?: string;
  };
}

/** The part of MLflow's REST interface that tracking needs. Every method throws `ServerError`. */
export class MlflowClient {
  constructor(readonly http: HttpServer, readonly signal?: AbortSignal) {}

  get url(): string {
    return this.http.address.url;
  }

  /** An experiment by name; undefined if there is none. */
  async experiment(name: string): Promise<{ id: string; deleted: boolean } | undefined> {
    try {
      const query = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
      const { experiment } = await this.#get<
        { experiment: { experiment_id: string; lifecycle_stage: string } }
      >(query);
      return { id: experiment.experiment_id, deleted: experiment.lifecycle_stage === "deleted" };
    } catch (error) {
      if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
      throw error;
    }
  }

  /** The id of an experiment, which is created if there is none. */
  async ensureExperiment(name: string): Promise<string> {
    let found = await this.experiment(name);
    if (!found) {
      try {
        return (await this.#post<{ experiment_id: string }>("experiments/create", { name })).experiment_id;
      } catch (error) {
        // Another program, or an earlier attempt whose answer was lost, has created it.
        if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
        found = await this.experiment(name);
      }
    }
    if (found && !found.deleted) return found.id;
    throw new ServerError(
      `${this.url} has deleted the experiment ${name}; restore it there, or give another --experiment`,
      { passing: false },
    );
  }

  /** The runs of an experiment that match a filter, oldest first; by default without deleted ones. */
  async searchRuns(experimentId: string, filter = "", view: "ACTIVE_ONLY" | "ALL" = "ACTIVE_ONLY") {
    const runs: ServerRun[] = [];
    for (let token: string | undefined, first = true; first || token; first = false) {
      const page: { runs?: ServerRun[]; next_page_token?: string } = await this.#post("runs/search", {
        experiment_ids: [experimentId],
        filter,
        run_view_type: view,
        max_results: 1000,
        order_by: ["attributes.start_time ASC"],
        ...token && { page_token: token },
      });
      runs.push(...page.runs ?? []);
      token = page.next_page_token;
    }
    return runs;
  }

  /** Creates a run. Never retried blindly: two calls create two runs. */
  async createRun(run: { experiment_id: string; run_name: string; start_time: number; tags: TextEntry[] }) {
    return (await this.#post<{ run: ServerRun }>("runs/create", run, { once: true })).run;
  }

  async run(runId: string): Promise<ServerRun> {
    return (await this.#get<{ run: ServerRun }>(`runs/get?run_id=${encodeURIComponent(runId)}`)).run;
  }

  async deleteRun(runId: string): Promise<void> {
    await this.#post("runs/delete", { run_id: runId });
  }

  async updateRun(
    runId: string,
    change: { status?: RunStatus; end_time?: number; run_name?: string },
  ): Promise<void> {
    await this.#post("runs/update", { run_id: runId, ...change });
  }

  async logInputs(runId: string, datasets: readonly DatasetInput[]): Promise<void> {
    await this.#post("runs/log-inputs", { run_id: runId, datasets });
  }

  /**
   * Logs entries of one kind, in as many requests as the server's limits require. Entries that the server rejects for good
   * are skipped.
   *
   * @param onRefused called with every skipped entry
   */
  async logAll(
    runId: string,
    kind: "metrics" | "params" | "tags",
    entries: readonly (MetricEntry | TextEntry)[],
    onRefused: (entry: MetricEntry | TextEntry, reason: string) => void,
  ): Promise<void> {
    for (const batch of batches(entries, kind === "metrics" ? 1000 : 100)) {
      try {
        await this.#post("runs/log-batch", { run_id: runId, [kind]: batch });
      } catch (error) {
        const invalid = hasCode(error, "INVALID_PARAMETER_VALUE") || hasCode(error, "BAD_REQUEST");
        if (!invalid || /active/.test((error as Error).message)) throw error;
        if (batch.length === 1) onRefused(batch[0], (error as Error).message);
        else {
          const half = Math.ceil(batch.length / 2);
          for (const part of [batch.slice(0, half), batch.slice(half)]) {
            await this.logAll(runId, kind, part, onRefused);
          }
        }
      }
    }
  }

  /** All points of a metric, in the order in which they were logged. */
  async metricHistory(runId: string, key: string) {
    const all: { value: number | string; timestamp: number; step?: number }[] = [];
    for (let token: string | undefined, first = true; first || token; first = false) {
      const query = new URLSearchParams({ run_id: runId, metric_key: key, max_results: "25000" });
      if (token) query.set("page_token", token);
      const page: { metrics?: typeof all; next_page_token?: string } = await this.#get(
        `metrics/get-history?${query}`,
      );
      all.push(...page.metrics ?? []);
      token = page.next_page_token;
    }
    return all;
  }

  /** Paths of all artifacts of a run below a folder, in no order. */
  async artifacts(runId: string, folder = ""): Promise<string[]> {
    const query = new URLSearchParams({ run_id: runId, ...folder && { path: folder } });
    const { files = [] } = await this.#get<{ files?: { path: string; is_dir: boolean }[] }>(
      `artifacts/list?${query}`,
    );
    const below = files.map(({ path, is_dir }) => is_dir ? this.artifacts(runId, path) : [path]);
    return (await Promise.all(below)).flat();
  }

  /** Stores an artifact; one with the same path is replaced. */
  async putArtifact(artifactUri: string, path: string, body: () => BodyInit): Promise<void> {
    const content = { type: "application/octet-stream", body };
    await this.http.request("PUT", this.#artifactPath(artifactUri, path), this.#options({ content }));
  }

  async artifact(artifactUri: string, path: string): Promise<Uint8Array> {
    return await this.http.request("GET", this.#artifactPath(artifactUri, path), this.#options());
  }

  #artifactPath(artifactUri: string, path: string): string {
    const rest = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/.exec(artifactUri)?.[1];
    if (rest === undefined) {
      throw new ServerError(
        `${this.url} keeps artifacts elsewhere (${artifactUri.split(":")[0]}:) and takes none itself; ` +
          "start it with --serve-artifacts",
        { passing: false, code: "NO_ARTIFACTS" },
      );
    }
    const segments = [...rest.split("/"), ...path.split("/")].filter((segment) => segment !== "");
    return `/api/2.0/mlflow-artifacts/artifacts/${segments.map(encodeURIComponent).join("/")}`;
  }

  #options(options: RequestOptions = {}): RequestOptions {
    return { ...options, signal: this.signal };
  }

  async #get<Answer>(path: string): Promise<Answer> {
    return this.#parse(await this.http.request("GET", `/api/2.0/mlflow/${path}`, this.#options()));
  }

  async #post<Answer>(path: string, json: unknown, options: RequestOptions = {}): Promise<Answer> {
    const text = JSON.stringify(json);
    const content = { type: "application/json", body: () => text };
    return this.#parse(
      await this.http.request("POST", `/api/2.0/mlflow/${path}`, this.#options({ ...options, content })),
    );
  }

  #parse<Answer>(bytes: Uint8Array): Answer {
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      throw new ServerError(`${this.url} is no MLflow server: its answer is not JSON`, { passing: false });
    }
  }
}

/** Whether a server gave an error this name. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof ServerError && error.details.code === code;
}
