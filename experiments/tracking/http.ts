import { UserError } from "../../kernels/core/user_error.ts";
import type { ServerAddress } from "./address.ts";
import { shownAddress } from "../run/server_url.ts";
import { BodyTooLarge, mostBytes, readBody } from "./body.ts";
import { type Patience, Pauses, withRetries } from "./retry.ts";
import { say } from "../program/output.ts";

/** A server cannot be reached, or it refused or failed a request. */
export class ServerError extends UserError {
  override readonly name = "ServerError";

  constructor(
    message: string,
    readonly details: {
      /** HTTP status; undefined if there was no answer. */
      readonly status?: number;
      /** MLflow's name of the error, e.g. `RESOURCE_DOES_NOT_EXIST`, or our own for what a server has not. */
      readonly code?: string | undefined;
      /** Whether the request certainly had no effect: no connection, or the server asked to retry later. */
      readonly untouched?: boolean;
      /** Whether a retry may work. */
      readonly passing: boolean;
      /** Milliseconds that the server asks to wait before a retry. */
      readonly waitMs?: number;
    },
  ) {
    super(message);
  }
}

/** What to send; the body is made anew for every attempt. */
export interface Content {
  readonly type: string;
  readonly body: () => BodyInit;
}

/** Options of a request. */
export interface RequestOptions {
  readonly content?: Content;
  /** For requests that must not run twice: retry only if the request certainly had no effect. */
  readonly once?: boolean;
  /** For files: an answer may be large, and takes the time it needs as long as more of it arrives. */
  readonly download?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const passingStatuses = [408, 429, 500, 502, 503, 504];

/** A server reached over HTTP, with the retries of MLflow's own client. */
export class HttpServer {
  /** The pauses between retries, which can be cut short. */
  readonly pauses = new Pauses();
  /** Called whenever the server answers or accepts bytes. */
  onProgress: () => void = () => {};
  /** Called with what went wrong, before a retry. */
  onRetry: (error: ServerError) => void = () => {};

  constructor(readonly address: ServerAddress, readonly patience: Patience) {}

  /**
   * Sends a request.
   *
   * @param path relative to the address, with a leading slash
   * @returns the body of the answer
   * @throws {ServerError} after the last retry
   */
  request(method: "GET" | "POST" | "PUT", path: string, options: RequestOptions = {}): Promise<Uint8Array> {
    const waitFor = (error: unknown) => {
      if (!(error instanceof ServerError)) return undefined;
      const { passing, untouched, waitMs = 0 } = error.details;
      return passing && (!options.once || untouched) ? waitMs : undefined;
    };
    const onRetry = (error: unknown) => this.onRetry(error as ServerError);
    const { patience, pauses } = this;
    return withRetries(() => this.#attempt(method, path, options), waitFor, {
      patience,
      pauses,
      signal: options.signal,
      onRetry,
    });
  }

  async #attempt(method: string, path: string, options: RequestOptions): Promise<Uint8Array> {
    const { content, signal, download = false } = options;
    const timeout = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => timeout.abort(), this.patience.timeoutMs);
    };
    alive();
    try {
      const body = content?.body();
      const onPiece = () => {
        alive();
        this.onProgress();
      };
      const response = await fetch(this.address.url + path, {
        method,
        headers: { ...this.address.headers, ...content && { "content-type": content.type } },
        ...body !== undefined && { body: body instanceof ReadableStream ? watched(body, onPiece) : body },
        redirect: "manual",
        signal: signal ? AbortSignal.any([timeout.signal, signal]) : timeout.signal,
      });
      if (!response.ok) {
        const bytes = await readBody(response.body, { most: mostBytes.error, cut: true });
        throw this.#refusal(response, bytes, path);
      }
      const bytes = await readBody(response.body, {
        most: download ? mostBytes.file : mostBytes.json,
        ...download && { onProgress: alive },
      });
      this.onProgress();
      return bytes;
    } catch (error) {
      if (error instanceof ServerError) throw error;
      signal?.throwIfAborted();
      if (error instanceof BodyTooLarge) {
        const megabytes = (download ? mostBytes.file : mostBytes.json) / 2 ** 20;
        throw new ServerError(`${this.address.url} answers with more than ${megabytes} MiB`, {
          passing: false,
        });
      }
      throw this.#unreachable(error, timeout.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  #refusal({ status, headers }: Response, bytes: Uint8Array, path: string): ServerError {
    const { url } = this.address;
    const text = new TextDecoder().decode(bytes);
    const answer = answerOf(text);
    const said = this.address.hide(answer.message ?? text).replaceAll(/\s+/g, " ").trim().slice(0, 300);
    const passing = passingStatuses.includes(status);
    const what = status === 401 || (status === 403 && !/host header/i.test(said))
      ? `refuses these credentials (${status}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ` +
        "MLFLOW_TRACKING_TOKEN; they go only to a server that --mlflow or MLFLOW_TRACKING_URI names)"
      : status >= 300 && status < 400
      ? this.#elsewhere(status, headers.get("location") ?? "", path)
      : `answered ${status}${said === "" ? "" : `: ${said}`}`;
    return new ServerError(`${url} ${what}`, {
      status,
      code: answer.code,
      passing,
      untouched: status === 408 || status === 429,
      waitMs: 1000 * (Number(headers.get("retry-after")) || 0),
    });
  }

  /** Says where a redirect leads: a server that has moved is asked there for the same path. */
  #elsewhere(status: number, location: string, path: string): string {
    const target = URL.parse(location, this.address.url + path)?.href ?? "";
    const shown = shownAddress(target);
    const [asked] = path.split("?");
    return shown.endsWith(asked)
      ? `is elsewhere (${status}); give the address ${this.address.hide(shown.slice(0, -asked.length))}`
      : `leads to ${this.address.hide(shown) || "another page"} (${status}), which is no MLflow server; ` +
        "it may ask for credentials";
  }

  #unreachable(error: unknown, timedOut: boolean): ServerError {
    const { url } = this.address;
    if (timedOut) {
      const seconds = this.patience.timeoutMs / 1000;
      return new ServerError(`${url} did not answer within ${seconds} s`, { passing: true });
    }
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const reason = this.address.hide(cause instanceof Error ? cause.message : String(cause));
    const untouched = /connect error|\(Connect\)|refused|dns error/i.test(reason);
    // The innermost reason comes last.
    const shown = reason.split(": ").at(-1)?.replace(/ \(os error \d+\)$/, "");
    return new ServerError(`${url} cannot be reached (${shown})`, { passing: true, untouched });
  }
}

/** A server that the user waits for: stderr says, once, that it does not answer and requests are repeated. */
export function awaitedServer(address: ServerAddress, patience: Patience): HttpServer {
  const server = new HttpServer(address, patience);
  server.onRetry = ({ message }) => {
    server.onRetry = () => {};
    say(
      `${message}: retrying up to ${patience.maxRetries} times (MLFLOW_HTTP_REQUEST_MAX_RETRIES)`,
    );
  };
  return server;
}

/** Passes a stream through and reports every chunk. */
function watched(stream: ReadableStream<Uint8Array>, onPiece: () => void): ReadableStream<Uint8Array> {
  return stream.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        onPiece();
        controller.enqueue(chunk);
      },
    }),
  );
}

function answerOf(text: string): { code?: string; message?: string } {
  try {
    const { error_code: code, message } = JSON.parse(text);
    return {
      ...typeof code === "string" && { code },
      ...typeof message === "string" && { message },
    };
  } catch {
    return {}; // plain text or a page
  }
}
