import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkPort } from "./mlflow.ts";
import { print } from "./program/output.ts";
import { main, stopSignal, task } from "./program/task.ts";
import { integer } from "./settings/kinds.ts";
import { defineSettings } from "./settings/settings.ts";

const checkout = fileURLToPath(new URL("../", import.meta.url));

/** Media types by extension. Browsers refuse modules of another type, and Deno refuses TypeScript of another. */
const types: Readonly<Record<string, string>> = {
  ".ts": "text/typescript",
  ".js": "text/javascript",
  ".html": "text/html; charset=utf-8",
  ".md": "text/plain; charset=utf-8",
  ".wgsl": "text/plain",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".png": "image/png",
  ".gif": "image/gif",
};

/** Headers with which a page may share memory between threads. */
export const isolation: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "cross-origin",
};

/**
 * Serves the checkout on this machine, without its dot files; a folder is its `index.html`.
 *
 * @param port by default a free one
 * @param headers of each response, besides the content type
 * @param index text of the page at `/`
 */
export function serveCheckout(
  { port = 0, headers = {}, index }: {
    port?: number;
    headers?: Readonly<Record<string, string>>;
    index?: string;
  } = {},
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, async (request) => {
    const path = pathOf(request.url);
    if (path === "/" && index !== undefined) {
      return new Response(index, { headers: { ...headers, "content-type": types[".html"] } });
    }
    if (path === undefined || path.includes("/.")) return notFound(headers);
    const file = path.endsWith("/") ? `${path}index.html` : path;
    const type = types[extname(file)] ?? "application/octet-stream";
    try {
      const bytes = await Deno.readFile(join(checkout, file));
      return new Response(bytes, { headers: { ...headers, "content-type": type } });
    } catch {
      return notFound(headers);
    }
  });
}

/** The path in an address; undefined if it is not valid. A URL has no `..` left. */
function pathOf(address: string): string | undefined {
  try {
    return decodeURIComponent(new URL(address).pathname);
  } catch {
    return undefined;
  }
}

const notFound = (headers: Readonly<Record<string, string>>) =>
  new Response("not found", { status: 404, headers: { ...headers } });

/** `deno task serve`: the checkout as a website on this machine. */
export const serveTask = task({
  name: "serve",
  about: "Serve this checkout on this machine: the library, its example page, and reports",
  settings: defineSettings({
    port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 8000 }),
  }),
  async run({ port }) {
    checkPort(port);
    const server = serveCheckout({ port, headers: isolation });
    print(`http://127.0.0.1:${port}/\n`);
    print(`  http://127.0.0.1:${port}/examples/sample_in_page.html   sixteen digits, drawn in a page`);
    print(`  http://127.0.0.1:${port}/runs/RUN/report.html           the report of a run`);
    print(`  import ... from "http://127.0.0.1:${port}/mod.ts"       the library, in Deno\n`);
    print("Stop with Ctrl-C");
    using stop = stopSignal(() => server.shutdown());
    await server.finished;
    return stop.exitCode;
  },
});

if (import.meta.main) await main(serveTask);
