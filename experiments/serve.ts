import { dirname, extname, join, relative } from "node:path";
import { playgroundHtml } from "../playground/playground_html.ts";
import { type Markup, markup } from "../viz/report/markup.ts";
import { linkPlayground } from "../viz/report/mod.ts";
import { library } from "../web/flow_text.js";
import { print } from "./cli/output.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { openContained, reasonOf } from "./run/run_folder.ts";
import { checkout } from "./run/program_files.ts";
import { integer } from "./cli/kinds.ts";
import { ConfigError } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import { docsSite, playgroundFile } from "./site/docs_site.ts";

/** Media types by extension. Browsers refuse modules with a wrong type, and Deno refuses TypeScript with one. */
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

/** Headers that allow a page to share memory between threads. */
export const isolation: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "cross-origin",
};

/** How a server answers. */
interface ServerOptions {
  /** By default any free port. */
  readonly port?: number;
  /** Headers of each response, besides the content type. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Serves the checkout on this machine: its regular files, except dot files and files that links reach outside of it.
 * Only `runs` itself may be a link. A folder is served as its `index.html`. The server also has the docs as pages, a
 * list of reports at `/`, and the playground that reports link to.
 *
 * @param options with the folder to serve instead, if any
 */
export function serveCheckout(
  { root = checkout ?? ".", ...options }: ServerOptions & { readonly root?: string } = {},
): Deno.HttpServer<Deno.NetAddr> {
  let site: Promise<ReadonlyMap<string, BodyInit>> | undefined;
  return serve(options, async (path) => {
    const file = path.endsWith("/") ? `${path}index.html` : path;
    const type = types[extname(file)] ?? "application/octet-stream";
    if (file === "/index.html") site = undefined; // there may be new reports
    const body = await openServed(root, file);
    if (body === undefined) {
      const page = file === playground
        ? playgroundHtml({ library })
        : (await (site ??= siteOf(root))).get(file.slice(1));
      return page === undefined ? undefined : { type, body: page };
    }
    if (!file.endsWith("/report.html")) return { type, body: body.readable };
    const address = relative(dirname(file), playground);
    return { type, body: linkPlayground(await new Response(body.readable).text(), address) };
  });
}

/** Path of the playground: a file that `build:playground` wrote, or else a page made here, without digits. */
const playground = `/${playgroundFile}`;

/** Serves one page on this machine, at `/`. */
export function servePage(page: string, options: ServerOptions = {}): Deno.HttpServer<Deno.NetAddr> {
  return serve(options, (path) => path === "/" ? { type: types[".html"], body: page } : undefined);
}

interface Answer {
  readonly type: string;
  readonly body: BodyInit;
}

/**
 * Starts a server that answers only to names of this machine, so that a page of another site cannot reach it by a name
 * of that site.
 */
function serve(
  { port = 0, headers = {} }: ServerOptions,
  answer: (path: string) => Promise<Answer | undefined> | Answer | undefined,
): Deno.HttpServer<Deno.NetAddr> {
  const respond = (status: number, { type, body }: Answer) =>
    new Response(body, { status, headers: { ...headers, "content-type": type } });
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port, onListen() {} },
    async (request) => {
      const hosts = ["127.0.0.1", "localhost"].map((name) =>
        new URL(`http://${name}:${server.addr.port}`).host
      );
      if (!hosts.includes(request.headers.get("host")?.toLowerCase() ?? "")) {
        return respond(403, { type: "text/plain", body: `expected the address http://${hosts[0]}/` });
      }
      const path = pathOf(request.url);
      const answered = path === undefined ? undefined : await answer(path);
      return answered ? respond(200, answered) : respond(404, { type: "text/plain", body: "not found" });
    },
  );
  return server;
}

/** The path in an address; undefined if it is not valid. A URL has no `..` left. */
function pathOf(address: string): string | undefined {
  try {
    return decodeURIComponent(new URL(address).pathname);
  } catch {
    return undefined;
  }
}

/** Opens a file that may be served; undefined if there is none. */
async function openServed(root: string, path: string): Promise<Deno.FsFile | undefined> {
  try {
    const real = await Deno.realPath(join(root, path));
    for (const folder of [root, join(root, "runs")]) {
      const names = relative(await Deno.realPath(folder), real).split(/[\\/]/);
      if (!names.some((name) => name.startsWith("."))) return await openContained(real, folder);
    }
  } catch {
    // there is no such file, or it must not be read
  }
  return undefined;
}

/** The docs as pages; the first also links to the playground, an example and the reports. */
async function siteOf(root: string): Promise<ReadonlyMap<string, BodyInit>> {
  const folders = await Array.fromAsync(Deno.readDir(join(root, "runs")), ({ name }) => name).catch(() => []);
  const runs: Markup[] = [];
  for (const name of folders.sort().reverse()) {
    const file = await openServed(root, `/runs/${name}/report.html`);
    file?.close();
    if (file) {
      runs.push(markup`<li><a href="/runs/${encodeURIComponent(name)}/report.html">${name}</a></li>\n`);
    }
  }
  const reports = runs.length > 0
    ? markup`<ul>\n${runs}</ul>`
    : markup`<p>None yet: <code>deno task train</code> writes one.</p>`;
  return await docsSite(
    [{ title: "Reports", path: "index.html#reports" }],
    markup`<ul class="cards">
<li><a href="${playground}">Playground</a><p>See why flow matching works. <code>deno task playground</code> has digits,
too.</p></li>
<li><a href="/examples/sample_in_page.html">Sixteen digits</a><p>Drawn in a page.</p></li></ul>
<h2 id="reports">Reports of runs</h2>
${reports}`,
  );
}

/** @throws {ConfigError} if another program uses a port on this machine */
export function checkPort(port: number): void {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  } catch (error) {
    throw new ConfigError(`Cannot use port ${port}: ${reasonOf(error)}; give another --port`);
  }
}

/** `deno task serve`: the checkout as a website on this machine. */
export const serveTask = task({
  name: "serve",
  about: "Serve this checkout on this machine: the library, the docs, the playground, and reports",
  settings: defineSettings({
    port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 8000 }),
  }),
  async run({ port }) {
    checkPort(port);
    const server = serveCheckout({ port, headers: isolation });
    print(`http://127.0.0.1:${port}/   docs, playground, and the reports of runs\n`);
    print(`  http://127.0.0.1:${port}${playground}                why flow matching works`);
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
