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

/** Limits on the pages of a list, and on folders, files and depth of a run's artifacts. */
const most = { pages: 200, folders: 500, files: 100_000, depth: 20 } as const;

/** Endpoints that take their fields as a query; the others take JSON. */
const queries = new Set<EndpointPath>([
  "experiments/get-by-name",
  "runs/get",
  "metrics/get-history",
  "artifacts/list",
]);
/** Endpoints of which two requests would create two things: only one without effect is repeated. */
const creates = new Set<EndpointPath>(["runs/create", "logged-models"]);

/** A client of MLflow's REST interface. Every method throws `ServerError`. */
export class MlflowClient {
  constructor(readonly http: HttpServer) {}

  /** Address of the server. */
  get url(): string {
    return this.http.address.url;
  }

  /** Calls an endpoint with the fields of its query or JSON; those that are undefined are left out. */
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

  /** As {@linkcode call}; undefined if the server has no such object. */
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
    let found = await this.experiment(name);
    if (!found) {
      try {
        return (await this.call("experiments/create", { name })).experiment_id;
      } catch (error) {
        // Another program, or an earlier attempt whose answer was lost, has created it.
        if (!hasCode(error, "RESOURCE_ALREADY_EXISTS")) throw error;
        found = await this.experiment(name);
      }
    }
    if (found && !found.deleted) return found.id;
    throw new ServerError(
      `${this.url} has deleted the experiment ${name}; restore it there, or give another --experiment`,
      { code: "DELETED" },
    );
  }

  /** The runs of an experiment that match a filter, oldest first; by default without deleted ones. */
  async searchRuns(
    experimentId: string,
    filter = "",
    view: "ACTIVE_ONLY" | "ALL" = "ACTIVE_ONLY",
  ): Promise<ServerRun[]> {
    const found: ServerRun[] = [];
    const query = {
      experiment_ids: [experimentId],
      filter,
      run_view_type: view,
      max_results: 1000,
      order_by: ["attributes.start_time ASC"],
    };
    const pages = this.#pages((page_token) => this.call("runs/search", { ...query, page_token }));
    for await (const { runs = [] } of pages) for (const one of runs) found.push(one);
    return found;
  }

  /** The logged models of a run; undefined if the server knows no logged models, as before MLflow 3. */
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

  /** Links a logged model to the run that made it; a server refuses to link it twice. */
  async addOutput(runId: string, modelId: string, step: number): Promise<void> {
    const { run } = await this.call("runs/get", { run_id: runId });
    if (run.outputs?.model_outputs?.some(({ model_id }) => model_id === modelId)) return;
    const models = [{ model_id: modelId, step }];
    await this.call("runs/outputs", { run_id: runId, models });
  }

  /**
   * Logs entries of one kind, in as many requests as the server's limits require. Entries that the server rejects for
   * good are skipped: one by one at first, after twenty the rest of the request at once.
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

  /** The points of a metric, as {@linkcode pointId} names them. */
  async points(runId: string, key: string): Promise<Set<string>> {
    const query = { run_id: runId, metric_key: key, max_results: "25000" };
    const pages = this.#pages((page_token) => this.call("metrics/get-history", { ...query, page_token }));
    const found = new Set<string>();
    for await (const { metrics = [] } of pages) for (const point of metrics) found.add(pointId(point));
    return found;
  }

  /**
   * All artifacts of a run: their paths, unsorted, and their sizes in bytes, if known. Recursive and endless lists are
   * refused: entries must lie directly in the listed folder, and their number is limited.
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
      const tooMany = folders.size > most.folders || found.size > most.files;
      if (tooMany || folder.split("/").length > most.depth) throw this.#noServer("lists files without end");
    }
    return found;
  }

  /** Stores an artifact; one with the same path is replaced. */
  async putArtifact(artifactUri: string, path: string, body: () => BodyInit): Promise<void> {
    const content = { type: "application/octet-stream", body };
    const answer = await this.http.request("PUT", this.#artifactPath(artifactUri, path), { content });
    // MLflow 3.17 answers nothing, earlier versions {}; a proxy may answer 200 with a page.
    if (answer.length > 0) this.#read(answer, stored);
  }

  /** The content of an artifact. */
  async artifact(artifactUri: string, path: string): Promise<Uint8Array> {
    return await this.http.request("GET", this.#artifactPath(artifactUri, path), { download: true });
  }

  /** The path of an artifact in the server's API; it cannot lead anywhere else. */
  #artifactPath(artifactUri: string, path: string): string {
    const rest = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/s.exec(artifactUri)?.[1];
    if (rest === undefined) {
      const scheme = /^[a-z][a-z0-9+-]{0,20}:/i.exec(artifactUri)?.[0] ?? "elsewhere";
      throw new ServerError(
        `${this.url} keeps artifacts elsewhere (${scheme}) and takes none itself; start it with --serve-artifacts`,
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

  /** All pages of a list. A list is endless if it has too many, or takes longer than a request with all its retries. */
  async *#pages<Page extends { readonly next_page_token?: string | undefined }>(
    ask: (token?: string) => Promise<Page>,
  ): AsyncGenerator<Page> {
    const { timeoutMs, maxRetries } = this.http.patience;
    const until = performance.now() + timeoutMs * (maxRetries + 1);
    let token: string | undefined;
    for (let count = 0; count < most.pages && performance.now() <= until; count++) {
      const page = await ask(token);
      yield page;
      token = page.next_page_token || undefined;
      if (token === undefined) return;
    }
    throw new ServerError(
      `${this.url} gives a list without end: more than ${most.pages} pages, or too slow (MLFLOW_HTTP_REQUEST_TIMEOUT)`,
    );
  }

  #read<Answer>(bytes: Uint8Array, check: FieldCheck<Answer>): Answer {
    let answer: unknown;
    try {
      answer = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      throw this.#noServer("does not answer with JSON");
    }
    if (!check.accepts(answer)) throw this.#noServer(`does not answer with ${check.expected}`);
    return answer as Answer;
  }

  #noServer(why: string): ServerError {
    return new ServerError(`${this.url} is not an MLflow server: it ${why.slice(0, 300)}`);
  }
}

/** Whether an error says that a server will never accept a file. */
export function rejectsFile(error: unknown): boolean {
  // Proxies answer 413 to files above their limit, often 1 MB.
  return hasCode(error, "INVALID_PARAMETER_VALUE") || hasCode(error, "NO_ARTIFACTS") ||
    (error instanceof ServerError && error.details.status === 413);
}

/** Splits entries into requests that keep the server's limits on number and bytes. */
export function batches<Entry>(entries: readonly Entry[], most: number, maxBytes = 900_000): Entry[][] {
  const all: Entry[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = new TextEncoder().encode(JSON.stringify(entry)).length + 1;
    if (bytes + size > maxBytes || all[all.length - 1].length >= most) {
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
