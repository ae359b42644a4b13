/** The part of MLflow's REST API that tracking uses, with the retries of MLflow's own client. */

import { UserError } from "../../kernels/core/checks.ts";
import { formatTime, say } from "../cli/output.ts";
import type { RetryPolicy, ServerAddress, Target } from "./choose_tracking.ts";

/** A server cannot be reached, or rejects a request. */
export class ServerError extends UserError {
  override readonly name = "ServerError";

  constructor(
    message: string,
    readonly details: {
      /** HTTP status; undefined without a response. */
      readonly status?: number;
      /** The error code of MLflow, e.g. `RESOURCE_DOES_NOT_EXIST`, or ours. */
      readonly code?: string | undefined;
      /** Whether a retry may succeed. */
      readonly retryable?: boolean;
      /** Milliseconds that the server asks to wait before a retry. */
      readonly waitMs?: number;
    } = {},
  ) {
    super(message);
  }
}

/** A metric at a step and a time; NaN, Infinity and -Infinity are strings. */
export interface Point {
  readonly key: string;
  readonly value: number | string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly step: number;
}

/** A param or a tag. */
export interface Entry {
  readonly key: string;
  readonly value: string;
}

/** A run as a server returns it; MLflow omits empty fields. */
export interface ServerRun {
  readonly info: {
    readonly run_id: string;
    readonly experiment_id: string;
    status?: string;
    end_time?: number;
    readonly artifact_uri?: string;
    readonly lifecycle_stage?: string;
  };
  readonly data?: {
    /** The latest point of each metric. */
    readonly metrics?: readonly Point[];
    readonly params?: readonly Entry[];
    readonly tags?: readonly Entry[];
  };
  readonly inputs?: { readonly dataset_inputs?: readonly unknown[] };
  readonly outputs?: { readonly model_outputs?: readonly { readonly model_id: string }[] };
}

/** Makes the content of an attempt to send it; calls `onPiece` while the server accepts a large one. */
type Body = (onPiece: () => void) => BodyInit;

const retryable = [408, 429, 500, 502, 503, 504];
/** The longest pause before a retry, in milliseconds. */
const longestMs = 120_000;

const advice = "; if it needs credentials, set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or " +
  "MLFLOW_TRACKING_TOKEN (they go only to a server that --mlflow or MLFLOW_TRACKING_URI names)";

/** A client of an MLflow server, for one request at a time; every method throws `ServerError`. */
export class MlflowClient {
  /**
   * Called before each retry, numbered from 1.
   *
   * @param leftMs how long it goes on trying, if further attempts take as long as the last one
   */
  onRetry: (error: ServerError, retry: number, leftMs: number) => void = () => {};
  /** The server's address, without credentials. */
  readonly url: string;
  readonly #address: ServerAddress;
  readonly #patience: RetryPolicy;
  readonly #stop = new AbortController();
  #isRetrying = false;
  /** Why the latest request failed; undefined after a success. */
  #failure: string | undefined;
  /** Called when the server responds or accepts a piece of an upload. */
  #onProgress = () => {};
  /** Ends the current pause. */
  #wake = () => {};

  constructor({ address, patience }: Target) {
    [this.#address, this.#patience, this.url] = [address, patience, address.url];
  }

  /** Ends the current pause; from now on, gives up once the server makes no progress for `ms` milliseconds. */
  giveUpAfter(ms: number): Disposable {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = () => {
      this.#stop.abort(new ServerError(this.#failure ?? `${this.url} no longer accepts data`));
      this.#wake();
    };
    this.#onProgress = () => (clearTimeout(timer), timer = setTimeout(stop, ms));
    this.#onProgress();
    this.#wake();
    return { [Symbol.dispose]: () => (clearTimeout(timer), this.#onProgress = () => {}) };
  }

  /** Waits. */
  async pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    this.#stop.signal.throwIfAborted();
  }

  /** Repeats work as a whole until it succeeds, the retries are used up, or the error is permanent. */
  async retry<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isRetrying) return await work(); // as a part of other work
    const { maxRetries, backoffFactor, timeoutMs } = this.#patience;
    this.#isRetrying = true;
    try {
      for (let retry = 1;; retry++) {
        const started = performance.now();
        try {
          const result = await work();
          this.#failure = undefined;
          return result;
        } catch (error) {
          if (!(error instanceof ServerError)) throw error;
          this.#failure = error.message;
          if (!error.details.retryable || retry > maxRetries) throw error;
          const [took, ms] = [performance.now() - started, backoffMs(retry, backoffFactor, Math.random())];
          let leftMs = ms + took;
          for (let n = retry + 1; n <= maxRetries; n++) leftMs += backoffMs(n, backoffFactor, 0) + took;
          this.onRetry(error, retry, leftMs);
          // A server may ask to wait, but not for longer than an attempt may take.
          await this.pause(Math.max(ms, Math.min(error.details.waitMs ?? 0, timeoutMs, longestMs)));
        }
      }
    } finally {
      this.#isRetrying = false;
    }
  }

  /** Calls an endpoint, with retries: those that only read take a query, all others JSON. @returns its JSON object */
  async call(path: string, fields: object, method = "POST"): Promise<Record<string, unknown>> {
    const isQuery = /\/(get|get-by-name|list)$/.test(path);
    const query = isQuery ? `?${new URLSearchParams(fields as Record<string, string>)}` : "";
    const content = { type: "application/json", body: () => JSON.stringify(fields) };
    const request = [`/api/2.0/mlflow/${path}${query}`, isQuery ? undefined : content] as const;
    const answer = jsonOf(await this.retry(() => this.#attempt(isQuery ? "GET" : method, ...request)));
    return answer ?? this.#noMlflow("respond with JSON");
  }

  /** Calls an endpoint, and returns a field of its answer, which must be there. */
  async get<Value>(field: string, path: string, fields: object): Promise<Value> {
    const answer = await this.call(path, fields);
    return answer[field] as Value ?? this.#noMlflow(`respond with "${field}"`);
  }

  /** Like {@linkcode get}, but returns undefined if there is no such object. */
  async find<Value>(field: string, path: string, fields: object): Promise<Value | undefined> {
    try {
      return await this.get<Value>(field, path, fields);
    } catch (error) {
      if (error instanceof ServerError && error.details.code === "RESOURCE_DOES_NOT_EXIST") return undefined;
      throw error;
    }
  }

  /** The id of an experiment, created if missing. */
  async ensureExperiment(name: string): Promise<string> {
    type Experiment = { experiment_id: string; lifecycle_stage?: string };
    const find = () =>
      this.find<Experiment>("experiment", "experiments/get-by-name", { experiment_name: name });
    const found = await find() ??
      await this.get<string>("experiment_id", "experiments/create", { name })
        .catch(async (error): Promise<Experiment> => await find() ?? Promise.reject(error)); // another program has created it
    if (typeof found !== "object") return found;
    if (found.lifecycle_stage !== "deleted") return found.experiment_id;
    const remedy = "restore it there, or choose another --experiment";
    throw new ServerError(`${this.url} has deleted the experiment ${name}; ${remedy}`, { code: "DELETED" });
  }

  /** Logs entries, in requests of at most 1,000 points and 100 params or tags. */
  async log(run_id: string, kind: "metrics" | "params" | "tags", entries: readonly object[]): Promise<void> {
    const most = kind === "metrics" ? 1000 : 100;
    for (let at = 0; at < entries.length; at += most) {
      await this.call("runs/log-batch", { run_id, [kind]: entries.slice(at, at + most) });
    }
  }

  /** The artifacts of a run: their sizes in bytes, if known, by path. */
  async artifacts(
    { run_id, artifact_uri = "" }: ServerRun["info"],
  ): Promise<Map<string, number | undefined>> {
    const found = new Map<string, number | undefined>();
    const folders = artifact_uri.startsWith(artifactScheme) ? [""] : []; // other stores may not answer
    for (const path of folders) { // grows in the loop
      type Listed = { files?: { path: string; is_dir?: boolean; file_size?: number }[] };
      const { files = [] }: Listed = await this.call("artifacts/list", { run_id, ...path && { path } });
      for (const { path, is_dir: isFolder, file_size: size } of files) {
        if (isFolder) folders.push(path);
        else found.set(path, size === undefined ? undefined : Number(size));
      }
    }
    return found;
  }

  /** Stores an artifact, replacing any with the same path. */
  async putArtifact(artifactUri = "", path: string, body: Body): Promise<void> {
    if (!artifactUri.startsWith(artifactScheme)) {
      throw new ServerError(
        `${this.url} stores artifacts elsewhere and accepts none itself; start it with --serve-artifacts`,
        { code: "NO_ARTIFACTS" },
      );
    }
    const root = artifactUri.slice(artifactScheme.length).replace(/^\/\/[^/]*/, "");
    const encoded = `${root}/${path}`.split("/").filter(Boolean).map(encodeURIComponent).join("/");
    const content = { type: "application/octet-stream", body };
    const answer = await this.retry(() =>
      this.#attempt("PUT", `/api/2.0/mlflow-artifacts/artifacts/${encoded}`, content)
    );
    // MLflow 3.17 returns nothing, and earlier versions {}; a proxy may return a page with status 200.
    if (!["", "{}"].includes(new TextDecoder().decode(answer))) this.#noMlflow("accept files as MLflow does");
  }

  async #attempt(
    method: string,
    path: string,
    content?: { readonly type: string; readonly body: Body },
  ): Promise<Uint8Array> {
    this.#stop.signal.throwIfAborted();
    const timeout = new AbortController();
    const start = () => setTimeout(() => timeout.abort(), this.#patience.timeoutMs);
    let timer = start();
    const onPiece = () => (clearTimeout(timer), timer = start(), this.#onProgress());
    try {
      const response = await fetch(this.url + path, {
        method,
        headers: { ...this.#address.headers, ...content && { "content-type": content.type } },
        ...content && { body: content.body(onPiece) },
        redirect: "manual",
        signal: AbortSignal.any([timeout.signal, this.#stop.signal]),
      });
      const answer = await response.bytes();
      if (!response.ok) throw this.#refusal(response, answer);
      this.#onProgress();
      return answer;
    } catch (error) {
      if (error instanceof ServerError) throw error;
      this.#stop.signal.throwIfAborted();
      if (timeout.signal.aborted) {
        const seconds = this.#patience.timeoutMs / 1000;
        throw new ServerError(`${this.url} did not respond within ${seconds} s`, { retryable: true });
      }
      const { cause = error } = error as Error;
      const why = (cause as Error).message.split(": ").at(-1)?.replace(/ \(os error \d+\)$/, ""); // the innermost reason
      throw new ServerError(`${this.url} cannot be reached (${why})`, {
        retryable: !(error instanceof Deno.errors.NotCapable),
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The error in a response. A server's message may repeat credentials, so it is shown only if the server got none. */
  #refusal({ status, statusText, headers }: Response, bytes: Uint8Array): ServerError {
    const { error_code, message = "" } = jsonOf(bytes) ?? {};
    const code = /^[A-Z_]+$/.test(`${error_code}`) ? `${error_code}` : undefined;
    const says = `${message}`.replaceAll(/\s+/g, " ").slice(0, 300).trim() || statusText;
    const reason = "authorization" in this.#address.headers ? code : says;
    const what = status >= 300 && status < 400
      ? `redirects elsewhere (${status}); use the address of the MLflow server itself`
      : `responded with ${status}${reason ? `: ${reason}` : ""}${[401, 403].includes(status) ? advice : ""}`;
    return new ServerError(`${this.url} ${what}`, {
      status,
      code,
      retryable: retryable.includes(status),
      waitMs: 1000 * Number(headers.get("retry-after")) || 0,
    });
  }

  #noMlflow(lacks: string): never {
    throw new ServerError(`${this.url} is not an MLflow server: it does not ${lacks}`);
  }
}

/** The start of the address of artifacts that a server accepts itself. */
const artifactScheme = "mlflow-artifacts:";

/** A client that the user is waiting for; the first retry is reported on stderr. */
export function awaitedClient(target: Target): MlflowClient {
  const client = new MlflowClient(target);
  client.onRetry = ({ message }, retry, leftMs) => {
    if (retry > 1) return;
    say(`${message}; trying for another ${formatTime(leftMs / 1000)} (MLFLOW_HTTP_REQUEST_MAX_RETRIES)`);
  };
  return client;
}

/**
 * Milliseconds before a retry, numbered from 1, with jitter, so that clients do not all return at the same time.
 *
 * @param random in [0, 1)
 * Source: urllib3's Retry as configured by MLflow, with up to a second of jitter, but here at most the wait itself
 */
export function backoffMs(retry: number, factor: number, random: number): number {
  const seconds = retry <= 1 ? 0 : factor * 2 ** (retry - 1);
  return Math.min(longestMs, 1000 * (seconds + Math.min(1, factor) * random));
}

/** The JSON object in a response; undefined if there is none. */
function jsonOf(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return json instanceof Object && !Array.isArray(json) ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}
