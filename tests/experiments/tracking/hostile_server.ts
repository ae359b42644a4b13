/** A server that answers like MLflow, but for what a test tells it; bounded in requests and time, on this machine only. */

import { testNeeding } from "../../permissions.ts";

/** A request as a test sees it. */
export interface Request {
  readonly method: string;
  /** With its query, as it came over the wire. */
  readonly path: string;
  readonly authorization: string | null;
  readonly body: string;
}

/** What a test makes of a request: an answer, or undefined for the usual one. */
export type Answer = (request: Request, count: number) => Response | Promise<Response> | undefined;

/** Requests and milliseconds after which it stops by itself. */
const most = { requests: 3_000, ms: 600_000 };

const run = {
  run_id: "r1",
  experiment_id: "1",
  run_name: "theirs",
  status: "RUNNING",
  artifact_uri: "mlflow-artifacts:/1/r1/artifacts",
  lifecycle_stage: "active",
};

/** The usual answers, by the end of the path. */
const usual: Readonly<Record<string, unknown>> = {
  "experiments/get-by-name": { experiment: { experiment_id: "1", lifecycle_stage: "active" } },
  "runs/search": { runs: [] },
  "runs/create": { run: { info: run, data: {} } },
  "runs/get": { run: { info: run, data: {} } },
  "artifacts/list": { files: [] },
};

/** A server to attack with. */
export class HostileServer implements AsyncDisposable {
  readonly seen: Request[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();

  constructor(answer: Answer = () => undefined) {
    const timer = setTimeout(() => this.#stop.abort(), most.ms);
    this.#stop.signal.addEventListener("abort", () => clearTimeout(timer));
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      signal: this.#stop.signal,
      onListen: () => {},
    }, async (request) => {
      const { pathname, search } = new URL(request.url);
      const seen = {
        method: request.method,
        path: pathname + search,
        authorization: request.headers.get("authorization"),
        body: await request.text(),
      };
      this.seen.push(seen);
      if (this.seen.length > most.requests) this.#stop.abort();
      return await answer(seen, this.seen.length) ?? HostileServer.usual(seen);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** What MLflow might say. */
  static usual({ path }: Request): Response {
    const name = Object.keys(usual).find((name) => path.split("?")[0].endsWith(name));
    return Response.json(name === undefined ? {} : usual[name]);
  }

  /** A run for its lists. */
  static run(info: Record<string, unknown> = {}, data: Record<string, unknown> = {}): unknown {
    return { info: { ...run, ...info }, data };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.finished;
  }
}

/** A body of any length, which is made only as far as it is read. */
export function endless(piece: string, { bytes, ms = 0 }: { bytes: number; ms?: number }): Response {
  const part = new TextEncoder().encode(piece);
  let sent = 0;
  return new Response(
    new ReadableStream({
      async pull(controller) {
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
        if (sent >= bytes) return controller.close();
        sent += part.length;
        controller.enqueue(part);
      },
    }),
  );
}

/** Defines a test with a server that answers as told, or as MLflow does. */
export function testHostile(
  name: string,
  answer: Answer,
  test: (server: HostileServer) => Promise<void>,
): void {
  testNeeding({ net: true, read: true, write: true }, name, async () => {
    await using server = new HostileServer(answer);
    await test(server);
  });
}
