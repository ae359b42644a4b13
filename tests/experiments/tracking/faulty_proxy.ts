import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Buffer } from "node:buffer";

/** What can happen to a request on its way: `cut` hands it to the server and drops the connection before the answer. */
export type Fault = "pass" | "refuse" | "hang" | "cut" | {
  status: number;
  body?: string;
  headers?: Record<string, string>;
};

/** A request as a fault may depend on it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  /** How many came before. */
  readonly count: number;
}

/** A proxy before a server that does to each request what it is told. */
export class FaultyProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly seen: Seen[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(target: string, fault: (request: Seen) => Fault): Promise<FaultyProxy> {
    const server = createServer((request, response) => {
      void proxy.#handle(target, fault, request, response);
    });
    const proxy = new FaultyProxy(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(
    target: string,
    fault: (request: Seen) => Fault,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method = "GET", url: path = "/", headers: { authorization } } = request;
    const seen = { method, path, authorization, count: this.seen.length };
    this.seen.push(seen);
    const what = fault(seen);
    const body = await Array.fromAsync(request as AsyncIterable<Uint8Array>);
    if (what === "hang") return;
    if (what === "refuse") return void request.socket.destroy();
    if (typeof what === "object") {
      response.writeHead(what.status, what.headers ?? {});
      return void response.end(what.body ?? "");
    }
    try {
      const answer = await fetch(target + path, {
        method,
        headers: { "content-type": request.headers["content-type"] ?? "application/octet-stream" },
        ...method !== "GET" && { body: Buffer.concat(body) },
      });
      const bytes = await answer.bytes();
      if (what === "cut") return void request.socket.destroy();
      response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
      response.end(bytes);
    } catch {
      request.socket.destroy(); // the server is away
    }
  }
}
