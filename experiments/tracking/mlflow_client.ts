import type { FieldCheck } from "../run/field_checks.ts";
import type { MetricEntry, TextEntry } from "./describe_run.ts";
import { type HttpServer, ServerError } from "./http_server.ts";
import {
  type AnswerOf,
  type EndpointPath,
  endpoints,
  pointId,
  type ServerModel,
  type ServerRun,
  stored,
} from "./mlflow_endpoints.ts";

/** Limits on the pages of a list, and on the folders, files and depth of a run's artifacts. */
const limits = { pages: 200, folders: 500, files: 100_000, depth: 20 } as const;

/** Endpoints that take their fields as a query; all others take JSON. */
const queries = new Set<EndpointPath>([
  "experiments/get-by-name",
  "runs/get",
  "metrics/get-history",
  "artifacts/list",
]);
/** Endpoints where a repeated request would create a duplicate; these are retried only if they certainly had no effect. */
const creates = new Set<EndpointPath>(["runs/create", "logged-models"]);

/** A client of MLflow's REST API. Every method throws `ServerError`. */
export class MlflowClient {
  constructor(readonly http: HttpServer) {}

  get url(): string {
    return this.http.address.url;
  }

  /** Calls an endpoint with the fields of its query or JSON; undefined ones are omitted. */
  async call<Path extends EndpointPath>(
    path: Path,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<AnswerOf<Path>> {
    const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
    const address = `/api/2.0/mlflow/${path.replace("{model_id}", encodeURIComponent(`${fields.model_id}`))}`;
    const isQuery = queries.has(path);
    const query = isQuery ? `?${new URLSearchParams(entries as [string, string][])}` : "";
    const body = () => JSON.stringify(Object.fromEntries(entries));
    const bytes = await this.http.request(
      isQuery ? "GET" : path.endsWith("}") ? "PATCH" : "POST",
      address + query,
      {
        ...!isQuery && { content: { type: "application/json", body } },
        once: creates.has(path),
      },
    );
    return this.#read(bytes, endpoints[path] as FieldCheck<AnswerOf<Path>>);
  }

  /** Like {@linkcode call}, but returns undefined if the server has no such object. */
  async callIfThere<Path extends EndpointPath>(
    path: Path,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<AnswerOf<Path> | undefined> {
    try {
      return await this.call(path, fields);
    } catch (error) {
      if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
      throw error;
    }
  }

  /** An experiment by name; undefined if there is none. */
  async experiment(name: string): Promise<{ id: string; deleted: boolean } | undefined> {
    const { experiment } = await this.callIfThere("experiments/get-by-name", { experiment_name: name }) ?? {};
    return experiment && { id: experiment.experiment_id, deleted: experiment.lifecycle_stage === "deleted" };
  }

  /** The id of an experiment, created if missing. */
  async ensureExperiment(name: string): Promise<string> {
    let existing = await this.experiment(name);
    if (!existing) {
      try {
        return (await this.call("experiments/create", { name })).experiment_id;
      } catch (error) {
        // Another program, or an earlier attempt whose response was lost, has created it.
        if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
        existing = await this.experiment(name);
      }
    }
    if (existing && !existing.deleted) return existing.id;
    throw new ServerError(
      `${this.url} has deleted the experiment ${name}; restore it there, or choose another --experiment`,
      { code: "DELETED" },
    );
  }

  /** The runs of an experiment that match a filter, oldest first; by default without deleted ones. */
  async searchRuns(
    experimentId: string,
    filter = "",
    view: "ACTIVE_ONLY" | "ALL" = "ACTIVE_ONLY",
  ): Promise<ServerRun[]> {
    const all: ServerRun[] = [];
    const query = {
      experiment_ids: [experimentId],
      filter,
      run_view_type: view,
      max_results: 1000,
      order_by: ["attributes.start_time ASC"],
    };
    const pages = this.#pages((page_token) => this.call("runs/search", { ...query, page_token }));
    for await (const { runs = [] } of pages) for (const one of runs) all.push(one);
    return all;
  }

  /** The logged models of a run; undefined if the server is older than MLflow 3 and has no logged models. */
  async loggedModels(experimentId: string, runId: string): Promise<readonly ServerModel[] | undefined> {
    const query = {
      experiment_ids: [experimentId],
      filter: `source_run_id = '${runId.replaceAll("'", "")}'`,
    };
    try {
      return (await this.call("logged-models/search", query)).models ?? [];
    } catch (error) {
      if (error instanceof ServerError && error.details.status === 404) return undefined;
      throw error;
    }
  }

  /** Links a logged model to the run that created it; a server rejects a second link. */
  async addOutput(runId: string, modelId: string, step: number): Promise<void> {
    const { run } = await this.call("runs/get", { run_id: runId });
    if (run.outputs?.model_outputs?.some(({ model_id }) => model_id === modelId)) return;
    const models = [{ model_id: modelId, step }];
    await this.call("runs/outputs", { run_id: runId, models });
  }

  /**
   * Logs entries of one kind, in as many requests as the server's limits require. Entries that the server rejects
   * permanently are skipped: individually at first, and after twenty the whole remaining request.
   *
   * @param onRefused called with every skipped entry
   */
  async logAll<Entry extends MetricEntry | TextEntry>(
    runId: string,
    kind: "metrics" | "params" | "tags",
    entries: readonly Entry[],
    onRefused: (entry: Entry, reason: string) => void,
  ): Promise<void> {
    let left = 20;
    const log = async (batch: readonly Entry[]): Promise<void> => {
      try {
        await this.call("runs/log-batch", { run_id: runId, [kind]: batch });
      } catch (error) {
        const invalid = hasCode(error, "INVALID_PARAMETER_VALUE") || hasCode(error, "BAD_REQUEST");
        const deleted = `The run ${runId} must be in the 'active' state`;
        if (!invalid || (error as ServerError).details.says?.includes(deleted)) throw error;
        if (batch.length === 1 || left <= 0) {
          left -= batch.length;
          for (const entry of batch) onRefused(entry, (error as Error).message);
          return;
        }
        const half = Math.ceil(batch.length / 2);
        await log(batch.slice(0, half));
        await log(batch.slice(half));
      }
    };
    for (const batch of batches(entries, kind === "metrics" ? 1000 : 100)) {
      left = 20;
      await log(batch);
    }
  }

  /** The ids of a metric's points, see {@linkcode pointId}. */
  async points(runId: string, key: string): Promise<Set<string>> {
    const query = { run_id: runId, metric_key: key, max_results: "25000" };
    const pages = this.#pages((page_token) => this.call("metrics/get-history", { ...query, page_token }));
    const found = new Set<string>();
    for await (const { metrics = [] } of pages) for (const point of metrics) found.add(pointId(point));
    return found;
  }

  /**
   * All artifacts of a run: their paths, unsorted, and their sizes in bytes, if known. Recursive and endless lists are
   * rejected: entries must lie directly in the listed folder, and their number is limited.
   */
  async artifacts(runId: string): Promise<Map<string, number | undefined>> {
    const folders = new Set([""]);
    const found = new Map<string, number | undefined>();
    for (const folder of folders) { // grows in the loop
      const { files } = await this.call("artifacts/list", { run_id: runId, path: folder || undefined });
      for (const { path, is_dir: isFolder, file_size: size } of files ?? []) {
        const below = folder && `${folder}/`;
        const name = path.startsWith(below) ? path.slice(below.length) : "";
        if (["", ".", ".."].includes(name) || name.includes("/")) {
          throw this.#noServer(`lists ${JSON.stringify(path)} in the folder ${JSON.stringify(folder)}`);
        }
        if (isFolder) folders.add(path);
        else found.set(path, size === undefined ? undefined : Number(size));
      }
      const tooMany = folders.size > limits.folders || found.size > limits.files;
      if (tooMany || folder.split("/").length > limits.depth) {
        throw this.#noServer("returns an endless list of files");
      }
    }
    return found;
  }

  /** Stores an artifact, replacing any with the same path. */
  async putArtifact(artifactUri: string, path: string, body: () => BodyInit): Promise<void> {
    const content = { type: "application/octet-stream", body };
    const answer = await this.http.request("PUT", this.#artifactPath(artifactUri, path), { content });
    // MLflow 3.17 returns nothing, and earlier versions {}; a proxy may return a page with status 200.
    if (answer.length > 0) this.#read(answer, stored);
  }

  async artifact(artifactUri: string, path: string): Promise<Uint8Array> {
    return await this.http.request("GET", this.#artifactPath(artifactUri, path), { download: true });
  }

  /** The path of an artifact in the server's API; it cannot lead anywhere else. */
  #artifactPath(artifactUri: string, path: string): string {
    const rest = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/s.exec(artifactUri)?.[1];
    if (rest === undefined) {
      const scheme = /^[a-z][a-z0-9+-]{0,20}:/i.exec(artifactUri)?.[0] ?? "elsewhere";
      throw new ServerError(
        `${this.url} stores artifacts elsewhere (${scheme}) and accepts none itself; start it with --serve-artifacts`,
        { code: "NO_ARTIFACTS" },
      );
    }
    const segments = [...rest.split("/"), ...path.split("/")].filter((segment) => segment !== "");
    if (segments.some((segment) => segment === "." || segment === "..")) {
      throw this.#noServer(
        `names an artifact outside its artifacts: ${JSON.stringify(`${artifactUri}/${path}`)}`,
      );
    }
    const encoded = segments.map((segment) => encodeURIComponent(segment.toWellFormed()));
    return `/api/2.0/mlflow-artifacts/artifacts/${encoded.join("/")}`;
  }

  /** All pages of a list. A list counts as endless if it has too many, or takes longer than a request with all retries. */
  async *#pages<Page extends { readonly next_page_token?: string | undefined }>(
    ask: (token?: string) => Promise<Page>,
  ): AsyncGenerator<Page> {
    const { timeoutMs, maxRetries } = this.http.patience;
    const until = performance.now() + timeoutMs * (maxRetries + 1);
    let token: string | undefined;
    for (let count = 0; count < limits.pages && performance.now() <= until; count++) {
      const page = await ask(token);
      yield page;
      token = page.next_page_token || undefined;
      if (token === undefined) return;
    }
    throw new ServerError(
      `${this.url} returns an endless list: more than ${limits.pages} pages, or too slow (MLFLOW_HTTP_REQUEST_TIMEOUT)`,
    );
  }

  #read<Answer>(bytes: Uint8Array, check: FieldCheck<Answer>): Answer {
    let answer: unknown;
    try {
      answer = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      throw this.#noServer("does not respond with JSON");
    }
    if (!check.accepts(answer)) throw this.#noServer(`does not respond with ${check.expected}`);
    return answer as Answer;
  }

  #noServer(why: string): ServerError {
    return new ServerError(`${this.url} is not an MLflow server: it ${why.slice(0, 300)}`);
  }
}

/** Whether an error means that a server will never accept a file. */
export function rejectsFile(error: unknown): boolean {
  // Proxies return 413 for files above their limit, often 1 MB.
  return hasCode(error, "INVALID_PARAMETER_VALUE") || hasCode(error, "NO_ARTIFACTS") ||
    (error instanceof ServerError && error.details.status === 413);
}

/** Splits entries into requests within the server's limits on number and bytes. */
export function batches<Entry>(entries: readonly Entry[], maxCount: number, maxBytes = 900_000): Entry[][] {
  const all: Entry[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = new TextEncoder().encode(JSON.stringify(entry)).length + 1;
    if (bytes + size > maxBytes || all[all.length - 1].length >= maxCount) {
      all.push([]);
      bytes = 0;
    }
    all[all.length - 1].push(entry);
    bytes += size;
  }
  return all;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof ServerError && error.details.code === code;
}
