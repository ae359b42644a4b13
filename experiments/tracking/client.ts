import {
  AnswerError,
  createdExperimentOf,
  experimentOf,
  filesOf,
  runOf,
  runsOf,
  type RunStatus,
  type ServerRun,
} from "./answers.ts";
import { artifactPath, listArtifacts } from "./artifact_list.ts";
import { batches, type MetricEntry, type TextEntry } from "./entries.ts";
import { type HttpServer, type RequestOptions, ServerError } from "./http.ts";
import { allPages } from "./pages.ts";

export type { RunStatus, ServerRun };

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
    const query = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
    return await ifThere(this.#get(query, experimentOf));
  }

  /** The id of an experiment, which is created if there is none. */
  async ensureExperiment(name: string): Promise<string> {
    let found = await this.experiment(name);
    if (!found) {
      try {
        return await this.#post("experiments/create", { name }, createdExperimentOf);
      } catch (error) {
        // Another program, or an earlier attempt whose answer was lost, has created it.
        if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
        found = await this.experiment(name);
      }
    }
    if (found && !found.deleted) return found.id;
    throw new ServerError(
      `${this.url} has deleted the experiment ${name}; restore it there, or give another --experiment`,
      { passing: false, code: "DELETED" },
    );
  }

  /** The runs of an experiment that match a filter, oldest first; by default without deleted ones. */
  async searchRuns(experimentId: string, filter = "", view: "ACTIVE_ONLY" | "ALL" = "ACTIVE_ONLY") {
    return await allPages(
      (token) =>
        this.#post("runs/search", {
          experiment_ids: [experimentId],
          filter,
          run_view_type: view,
          max_results: 1000,
          order_by: ["attributes.start_time ASC"],
          ...token !== undefined && { page_token: token },
        }, runsOf),
      this.url,
      this.http.patience,
    );
  }

  /** Creates a run. Never retried blindly: two calls create two runs. */
  async createRun(run: { experiment_id: string; run_name: string; start_time: number; tags: TextEntry[] }) {
    return await this.#post("runs/create", run, runOf, { once: true });
  }

  /** A run by its id; undefined if there is none. */
  async findRun(runId: string): Promise<ServerRun | undefined> {
    return await ifThere(this.run(runId));
  }

  async run(runId: string): Promise<ServerRun> {
    return await this.#get(`runs/get?run_id=${encodeURIComponent(runId)}`, runOf);
  }

  async deleteRun(runId: string): Promise<void> {
    await this.#post("runs/delete", { run_id: runId }, nothing);
  }

  async updateRun(
    runId: string,
    change: { status?: RunStatus; end_time?: number; run_name?: string },
  ): Promise<void> {
    await this.#post("runs/update", { run_id: runId, ...change }, nothing);
  }

  /** Deletes a tag of a run, if it is there. */
  async deleteTag(runId: string, key: string): Promise<void> {
    await ifThere(this.#post("runs/delete-tag", { run_id: runId, key }, nothing));
  }

  async logInputs(runId: string, datasets: readonly DatasetInput[]): Promise<void> {
    await this.#post("runs/log-inputs", { run_id: runId, datasets }, nothing);
  }

  /**
   * Logs entries of one kind, in as many requests as the server's limits require. Entries that the server rejects for good
   * are skipped; after twenty of a request one by one, its others at once, as a server that rejects all would be asked
   * twice for each.
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
      await this.#logBatch(runId, kind, batch, onRefused, { left: 20 });
    }
  }

  async #logBatch(
    runId: string,
    kind: "metrics" | "params" | "tags",
    batch: readonly (MetricEntry | TextEntry)[],
    onRefused: (entry: MetricEntry | TextEntry, reason: string) => void,
    refusals: { left: number },
  ): Promise<void> {
    try {
      await this.#post("runs/log-batch", { run_id: runId, [kind]: batch }, nothing);
    } catch (error) {
      const invalid = hasCode(error, "INVALID_PARAMETER_VALUE") || hasCode(error, "BAD_REQUEST");
      if (!invalid || /active/.test((error as Error).message)) throw error;
      if (batch.length === 1 || refusals.left <= 0) {
        refusals.left -= batch.length;
        for (const entry of batch) onRefused(entry, (error as Error).message);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#logBatch(runId, kind, batch.slice(0, half), onRefused, refusals);
      await this.#logBatch(runId, kind, batch.slice(half), onRefused, refusals);
    }
  }

  /** Paths of all artifacts of a run, in no order. */
  artifacts(runId: string): Promise<string[]> {
    return listArtifacts((folder) => {
      const query = new URLSearchParams({ run_id: runId, ...folder && { path: folder } });
      return this.#get(`artifacts/list?${query}`, filesOf);
    }, this.url);
  }

  /** Stores an artifact; one with the same path is replaced. */
  async putArtifact(artifactUri: string, path: string, body: () => BodyInit): Promise<void> {
    const content = { type: "application/octet-stream", body };
    await this.http.request("PUT", artifactPath(this.url, artifactUri, path), this.#options({ content }));
  }

  async artifact(artifactUri: string, path: string): Promise<Uint8Array> {
    const options = this.#options({ download: true });
    return await this.http.request("GET", artifactPath(this.url, artifactUri, path), options);
  }

  #options(options: RequestOptions = {}): RequestOptions {
    return { ...options, signal: this.signal };
  }

  async #get<Answer>(path: string, read: (answer: unknown) => Answer): Promise<Answer> {
    return this.#parse(await this.http.request("GET", `/api/2.0/mlflow/${path}`, this.#options()), read);
  }

  async #post<Answer>(
    path: string,
    json: unknown,
    read: (answer: unknown) => Answer,
    options: RequestOptions = {},
  ): Promise<Answer> {
    const text = JSON.stringify(json);
    const content = { type: "application/json", body: () => text };
    const bytes = await this.http.request(
      "POST",
      `/api/2.0/mlflow/${path}`,
      this.#options({ ...options, content }),
    );
    return this.#parse(bytes, read);
  }

  #parse<Answer>(bytes: Uint8Array, read: (answer: unknown) => Answer): Answer {
    try {
      return read(JSON.parse(new TextDecoder().decode(bytes)));
    } catch (error) {
      const why = error instanceof AnswerError
        ? `its answer lacks ${error.message}`
        : "its answer is not JSON";
      throw new ServerError(`${this.url} is not an MLflow server: ${why}`, { passing: false });
    }
  }
}

/** Reads an answer of which nothing is needed. */
function nothing(): void {}

/** Whether a server gave an error this name. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof ServerError && error.details.code === code;
}

/** The answer about a thing; undefined if the server has no such thing. */
async function ifThere<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
    throw error;
  }
}

/** What a proxy before a server answers to a file above its limit, often 1 MB. */
const tooLarge = 413;

/** Whether an error says that a server will never take a file. */
export function rejectsFile(error: unknown): boolean {
  return ["INVALID_PARAMETER_VALUE", "NO_ARTIFACTS"].some((code) => hasCode(error, code)) ||
    (error instanceof ServerError && error.details.status === tooLarge);
}
