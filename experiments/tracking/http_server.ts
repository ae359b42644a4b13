import { UserError } from "../../kernels/core/user_error.ts";
import { shownAddress } from "../run/program_files.ts";
import { say } from "../cli/output.ts";
import type { RetryPolicy, ServerAddress, Target } from "./choose_tracking.ts";

/** A server cannot be reached, or a request was rejected or failed. */
export class ServerError extends UserError {
  override readonly name = "ServerError";

  constructor(
    message: string,
    readonly details: {
      /** HTTP status; undefined if there was no response. */
      readonly status?: number;
      /** The error code of MLflow, e.g. `RESOURCE_DOES_NOT_EXIST`, or ours, e.g. `NO_ARTIFACTS`. */
      readonly code?: string | undefined;
      /** The server's message, which may contain credentials. */
      readonly says?: string;
      /** Whether the request certainly had no effect: there was no connection, or the server asked to retry later. */
      readonly hadNoEffect?: boolean;
      /** Whether a retry may succeed. */
      readonly retryable?: boolean;
      /** Milliseconds that the server asks to wait before a retry. */
      readonly waitMs?: number;
    } = {},
  ) {
    super(message);
  }
}

interface RequestOptions {
  /** The content to send; every attempt gets a new body. */
  readonly content?: { readonly type: string; readonly body: () => BodyInit };
  /** For requests that must not run twice: retry only if the request certainly had no effect. */
  readonly once?: boolean;
  /** For files: the response may be large, and may take long as long as data keeps arriving. */
  readonly download?: boolean;
}

const retryableStatuses = [408, 429, 500, 502, 503, 504];

/** Maximum bytes of a response: JSON, a file, or the text of an error, which is truncated. */
const maxBytes = { json: 64 << 20, file: 512 << 20, error: 64 << 10 } as const;

/** The longest pause before a retry, in milliseconds. */
const longestMs = 120_000;

const advice = "; if it needs credentials, set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or " +
  "MLFLOW_TRACKING_TOKEN (they go only to a server that --mlflow or MLFLOW_TRACKING_URI names)";

/** A server reached over HTTP, with the retries of MLflow's own client. */
export class HttpServer {
  /** Called with the error before each retry. */
  onRetry: (error: ServerError) => void = () => {};
  readonly #gaveUp = new AbortController();
  /** Why the latest request failed; undefined after a success. */
  #failure: string | undefined;
  /** Called when the server responds or accepts a piece of an upload. */
  #onProgress = () => {};
  /** Ends the current pause. */
  #wake = () => {};

  constructor(readonly address: ServerAddress, readonly patience: RetryPolicy) {}

  /**
   * Ends the current pause. From now on, all requests fail once the server has neither responded nor accepted a byte for
   * `ms` milliseconds.
   */
  giveUpAfter(ms: number): Disposable {
    const idle = idleTimer(ms, () => {
      const why = this.#failure ?? `${this.address.url} no longer accepts data`;
      this.#gaveUp.abort(new ServerError(why));
      this.#wake();
    });
    this.#onProgress = idle.restart;
    this.#wake();
    return {
      [Symbol.dispose]: () => {
        this.#onProgress = () => {};
        idle[Symbol.dispose]();
      },
    };
  }

  /** Waits. @throws {ServerError} if it has given up */
  async pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    this.#gaveUp.signal.throwIfAborted();
  }

  /**
   * Sends a request.
   *
   * @param path relative to the address, with a leading slash
   * @returns the body of the response
   * @throws {ServerError} after the last retry
   */
  request(
    method: "GET" | "POST" | "PUT" | "PATCH",
    path: string,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    return this.retry(() => this.#attempt(method, path, options), ({ details }) => {
      return details.retryable && (!options.once || details.hadNoEffect) ? details.waitMs ?? 0 : undefined;
    });
  }

  /**
   * Repeats an attempt until it succeeds, the retries are used up, or the error is permanent.
   *
   * @param waitFor minimum milliseconds to wait after an error; undefined if a retry is pointless
   */
  async retry<T>(attempt: () => Promise<T>, waitFor: (error: ServerError) => number | undefined): Promise<T> {
    const { maxRetries, backoffFactor, timeoutMs } = this.patience;
    for (let retry = 1;; retry++) {
      try {
        const result = await attempt();
        this.#failure = undefined;
        return result;
      } catch (error) {
        if (error instanceof ServerError) this.#failure = error.message;
        const waitMs = error instanceof ServerError && retry <= maxRetries ? waitFor(error) : undefined;
        if (waitMs === undefined) throw error;
        this.onRetry(error as ServerError);
        // A server may ask to wait, but not for longer than an attempt may take.
        const ms = Math.max(Math.min(waitMs, timeoutMs), backoffMs(retry, backoffFactor, Math.random()));
        await this.pause(Math.min(ms, longestMs));
      }
    }
  }

  async #attempt(
    method: string,
    path: string,
    { content, download = false }: RequestOptions,
  ): Promise<Uint8Array> {
    const timeout = new AbortController();
    using idle = idleTimer(this.patience.timeoutMs, () => timeout.abort());
    try {
      const onPiece = () => {
        idle.restart();
        this.#onProgress();
      };
      const body = content?.body();
      const response = await fetch(this.address.url + path, {
        method,
        headers: { ...this.address.headers, ...content && { "content-type": content.type } },
        ...body !== undefined && { body: body instanceof ReadableStream ? watched(body, onPiece) : body },
        redirect: "manual",
        signal: AbortSignal.any([timeout.signal, this.#gaveUp.signal]),
      });
      if (!response.ok) {
        const errorBody = await readBody(response.body, maxBytes.error);
        throw this.#refusal(response, await errorBody.bytes(), path);
      }
      const limit = download ? maxBytes.file : maxBytes.json;
      const answer = await readBody(response.body, limit + 1, download ? idle.restart : undefined);
      if (answer.size > limit) {
        throw new ServerError(`${this.address.url} responded with more than ${limit / 2 ** 20} MiB`);
      }
      this.#onProgress();
      return await answer.bytes();
    } catch (error) {
      if (error instanceof ServerError) throw error;
      this.#gaveUp.signal.throwIfAborted();
      throw this.#unreachable(error, timeout.signal.aborted);
    }
  }

  /** The error in a response. A server's message may repeat credentials, so it is shown only if the server got none. */
  #refusal({ status, statusText, headers }: Response, bytes: Uint8Array, path: string): ServerError {
    const { url, hasCredentials } = this.address;
    const { code, message } = errorOf(bytes);
    const reason = hasCredentials ? code : message.replaceAll(/\s+/g, " ").slice(0, 300).trim() || statusText;
    const target = URL.parse(headers.get("location") ?? "", url + path);
    const [added] = path.split("?"); // redirects repeat it
    const moved = (hasCredentials ? target?.origin : shownAddress(target?.href ?? "")) || "another page";
    const what = status >= 300 && status < 400
      ? `redirects to ${moved.endsWith(added) ? moved.slice(0, -added.length) : moved} (${status}); ` +
        "use the address of the MLflow server itself, with credentials if it needs them"
      : `responded with ${status}${reason ? `: ${reason}` : ""}${
        status === 401 || status === 403 ? advice : ""
      }`;
    return new ServerError(`${url} ${what}`, {
      status,
      code,
      says: message,
      retryable: retryableStatuses.includes(status),
      hadNoEffect: status === 408 || status === 429,
      waitMs: waitOf(headers.get("retry-after") ?? ""),
    });
  }

  #unreachable(error: unknown, timedOut: boolean): ServerError {
    const { url } = this.address;
    if (timedOut) {
      const seconds = this.patience.timeoutMs / 1000;
      return new ServerError(`${url} did not respond within ${seconds} s`, { retryable: true });
    }
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hadNoEffect = /connect error|\(Connect\)|refused|dns error/i.test(reason);
    // The innermost reason comes last.
    const shown = reason.split(": ").at(-1)?.replace(/ \(os error \d+\)$/, "");
    return new ServerError(`${url} cannot be reached (${shown})`, { retryable: true, hadNoEffect });
  }
}

/** Milliseconds of a `Retry-After`, which is in seconds or a date; 0 if it is neither or in the past. */
function waitOf(header: string): number {
  const ms = /^[\d.]+$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Math.max(ms, 0) || 0;
}

/** How long a task waits at its end for a server that makes no progress, in milliseconds. */
export const endingMs = 10_000;

/** A server that the user is waiting for; the first retry is reported on stderr. */
export function awaitedServer({ address, patience }: Target): HttpServer {
  const server = new HttpServer(address, patience);
  server.onRetry = ({ message }) => {
    server.onRetry = () => {};
    say(`${message}: retrying up to ${patience.maxRetries} times (MLFLOW_HTTP_REQUEST_MAX_RETRIES)`);
  };
  return server;
}

/**
 * Milliseconds before a retry, with jitter, so that clients do not all return at the same time when a server is back.
 *
 * @param retry number of the retry, from 1
 * @param random in [0, 1)
 * Source: urllib3's Retry as configured by MLflow, with up to a second of jitter, but here at most the wait itself
 */
export function backoffMs(retry: number, factor: number, random: number): number {
  const seconds = retry <= 1 ? 0 : factor * 2 ** (retry - 1);
  return Math.min(longestMs, 1000 * (seconds + Math.min(1, factor) * random));
}

/** Reads at most `max` bytes of a response's body, regardless of the announced size. */
async function readBody(
  body: Response["body"],
  max: number,
  onPiece: () => void = () => {},
): Promise<{ readonly size: number; bytes(): Promise<Uint8Array> }> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of body === null ? [] : watched(body, onPiece)) {
    parts.push(part.subarray(0, max - size));
    size += part.length;
    if (size >= max) break;
  }
  return { size, bytes: () => new Blob(parts).bytes() };
}

function watched<Piece extends Uint8Array>(
  stream: ReadableStream<Piece>,
  onPiece: () => void,
): ReadableStream<Piece> {
  return ReadableStream.from((async function* () {
    for await (const piece of stream) {
      onPiece();
      yield piece;
    }
  })());
}

/** MLflow's error code and message; both undefined in other responses, such as the pages of proxies. */
function errorOf(bytes: Uint8Array): { readonly code: string | undefined; readonly message: string } {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch { /* plain text or a page */ }
  const { error_code: code, message } = Object(json);
  return {
    code: typeof code === "string" && /^[A-Z_]{1,60}$/.test(code) ? code : undefined,
    message: typeof message === "string" ? message : "",
  };
}

/** Calls `call` after `ms` milliseconds without a restart. */
function idleTimer(ms: number, call: () => void): Disposable & { readonly restart: () => void } {
  let timer = setTimeout(call, ms);
  return {
    restart: () => {
      clearTimeout(timer);
      timer = setTimeout(call, ms);
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
