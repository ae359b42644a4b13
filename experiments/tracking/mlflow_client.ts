import type { FieldCheck } from "../run/field_checks.ts";
import type { MetricEntry, TextEntry } from "./describe_run.ts";
import { type HttpServer, ServerError } from "./http_server.ts";
import { answers, pointId, type ServerModel, type ServerRun } from "./mlflow_answers.ts";

/** Limits on the pages of a list, and on folders, files and depth of a run's artifacts. */
const most = { pages: 200, folders: 500, files: 100_000, depth: 20 } as const;

/** The part of MLflow's REST interface that tracking needs. Every method throws `ServerError`. */
export class MlflowClient {
  constructor(readonly http: HttpServer) {}

  /** Address of the server. */
  get url(): string {
    return this.http.address.url;
  }

  /** An experiment by name; undefined if there is none. */
  async experiment(name: string): Promise<{ id: string; deleted: boolean } | undefined> {
    const query = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
    const { experiment } = await ifThere(this.#get(query, answers.experiment)) ?? {};
    return experiment && { id: experiment.experiment_id, deleted: experiment.lifecycle_stage === "deleted" };
  }

  /** The id of an experiment, created if missing. */
  async ensureExperiment(name: string): Promise<string> {
    let found = await this.experiment(name);
    if (!found) {
      try {
        return (await this.#post("experiments/create", { name }, answers.createdExperiment)).experiment_id;
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
    const pages = this.#pages((page_token) =>
      this.#post("runs/search", { ...query, page_token }, answers.runs)
    );
    for await (const { runs = [] } of pages) for (const one of runs) found.push(one);
    return found;
  }

  /** Creates a run. Never retried blindly: two calls create two runs. */
  async createRun(
    content: { experiment_id: string; run_name: string; start_time: number; tags: TextEntry[] },
  ): Promise<ServerRun> {
    return (await this.#post("runs/create", content, answers.run, true)).run;
  }

  /** A run by its id; undefined if there is none. */
  async findRun(runId: string): Promise<ServerRun | undefined> {
    return (await ifThere(this.#get(`runs/get?run_id=${encodeURIComponent(runId)}`, answers.run)))?.run;
  }

  /** The logged models of a run; undefined if the server knows no logged models, as before MLflow 3. */
  async loggedModels(experimentId: string, runId: string): Promise<readonly ServerModel[] | undefined> {
    const query = {
      experiment_ids: [experimentId],
      filter: `source_run_id = '${runId.replaceAll("'", "")}'`,
    };
    try {
      return (await this.#post("logged-models/search", query, answers.models)).models ?? [];
    } catch (error) {
      if (error instanceof ServerError && error.details.status === 404) return undefined;
      throw error;
    }
  }

  /** Creates a logged model, to be finished by {@linkcode finishModel}. Never retried blindly, as `createRun`. */
  async createModel(
    content: Readonly<Record<"experiment_id" | "source_run_id" | "name" | "model_type", string>> & {
      readonly params: readonly TextEntry[];
      readonly tags: readonly TextEntry[];
    },
  ): Promise<ServerModel> {
    return (await this.#post("logged-models", content, answers.model, true)).model;
  }

  /** Links a logged model to the run that made it; a server refuses to link it twice. */
  async addOutput(runId: string, modelId: string, step: number): Promise<void> {
    const run = await this.findRun(runId);
    if (run?.outputs?.model_outputs?.some(({ model_id }) => model_id === modelId)) return;
    const models = [{ model_id: modelId, step }];
    await this.#post("runs/outputs", { run_id: runId, models }, answers.done);
  }

  /** Marks a logged model as complete. */
  async finishModel(modelId: string): Promise<void> {
    const content = { model_id: modelId, status: "LOGGED_MODEL_READY" };
    await this.#send("PATCH", `logged-models/${encodeURIComponent(modelId)}`, content, answers.done);
  }

  /** Changes a run, if it is there: its status, tags or data sets. */
  async change(
    what: "update" | "delete" | "delete-tag" | "log-inputs",
    runId: string,
    content: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    await ifThere(this.#post(`runs/${what}`, { run_id: runId, ...content }, answers.done));
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
        await this.#post("runs/log-batch", { run_id: runId, [kind]: batch }, answers.done);
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
    const pages = this.#pages((page_token) => {
      const page = new URLSearchParams({ ...query, ...page_token && { page_token } });
      return this.#get(`metrics/get-history?${page}`, answers.points);
    });
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
      const query = new URLSearchParams({ run_id: runId, ...folder && { path: folder } });
      const { files } = await this.#get(`artifacts/list?${query}`, answers.files);
      for (const { path, is_dir: isFolder, file_size: size } of files ?? []) {
        const name = folder === ""
          ? path
          : path.startsWith(`${folder}/`)
          ? path.slice(folder.length + 1)
          : "";
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
    if (answer.length > 0) this.#read(answer, answers.stored);
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

  async #get<Answer>(path: string, check: FieldCheck<Answer>): Promise<Answer> {
    return this.#read(await this.http.request("GET", `/api/2.0/mlflow/${path}`), check);
  }

  #post<Answer>(path: string, json: unknown, check: FieldCheck<Answer>, once = false): Promise<Answer> {
    return this.#send("POST", path, json, check, once);
  }

  async #send<Answer>(
    method: "POST" | "PATCH",
    path: string,
    json: unknown,
    check: FieldCheck<Answer>,
    once = false,
  ): Promise<Answer> {
    const text = JSON.stringify(json);
    const content = { type: "application/json", body: () => text };
    return this.#read(await this.http.request(method, `/api/2.0/mlflow/${path}`, { content, once }), check);
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

/** The answer, or undefined if the server has no such object. */
async function ifThere<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (hasCode(error, "RESOURCE_DOES_NOT_EXIST")) return undefined;
    throw error;
  }
}
