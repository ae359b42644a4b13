import { extname, join, relative } from "node:path";
import { digitPixels, type DigitsParts, halved } from "../playground/digits_parts.ts";
import { playgroundHtml } from "../playground/playground_html.ts";
import { type Markup, markup } from "../viz/report/markup.ts";
import { library } from "../web/flow_text.js";
import { integer } from "./cli/kinds.ts";
import { print, say } from "./cli/output.ts";
import { ConfigError, defineSettings } from "./cli/settings.ts";
import { describeError, main, stopSignal, task } from "./cli/task.ts";
import { DataError, type LabelledImages } from "./data/dataset.ts";
import { loadDataset } from "./data/load_dataset.ts";
import { checkout, readProgramFile, startCommand } from "./run/program_files.ts";
import { reasonOf } from "./run/run_folder.ts";

/** `deno task serve`: the library, the playground and the reports of runs, on this machine. */
export const serveTask = task({
  name: "serve",
  about: "Serve the library, the playground, and the reports of runs, on this machine",
  settings: defineSettings({
    port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 8000 }),
  }),
  async run({ port }) {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
    } catch (error) {
      throw new ConfigError(`Cannot use port ${port}: ${reasonOf(error)}; give another --port`);
    }
    const server = serveFiles({ port, headers: isolation, page: playgroundPage });
    const address = `http://127.0.0.1:${port}`;
    print(`${address}/   what this serves, with the reports of runs\n`);
    print(`  ${address}/playground.html           why flow matching works`);
    print(`  ${address}/runs/RUN/report.html      the report of a run`);
    if (checkout !== undefined) {
      print(`  import ... from "${address}/mod.ts"  the library, in Deno`);
    }
    print("\nStop with Ctrl-C");
    using stop = stopSignal(() => server.shutdown());
    await server.finished;
    return stop.exitCode;
  },
});

/** Images to train on in the playground. */
const trained = 3000;
/** Images to measure the loss on there. */
const measured = 256;

/** The digits of the playground: networks of this checkout, and a few images of MNIST. */
export async function playgroundDigits(): Promise<DigitsParts> {
  const weights = ["mnist_classes", "mnist_few_steps", "judge_mnist"].map(async (name) =>
    halved(await readProgramFile(`checkpoints/${name}.safetensors`))
  );
  const [flow, oneStep, judge] = await Promise.all(weights);
  const { train, test } = await loadDataset();
  const first = ({ images, labels }: LabelledImages, count: number) => ({
    images: images.slice(0, count * digitPixels),
    labels: labels!.subarray(0, count),
  });
  return { flow, oneStep, judge, train: first(train, trained), heldOut: first(test, measured) };
}

/** The playground as one HTML file. */
export async function playgroundPage(): Promise<string> {
  return playgroundHtml({ library, digits: await playgroundDigits() });
}

/** Headers that allow a page to share memory between threads. */
export const isolation: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "cross-origin",
};

/**
 * Headers of what lies in a run's folder: a page there may run, but is of no origin, so it reads nothing that is served
 * here, and sends nothing anywhere.
 */
const confined: Readonly<Record<string, string>> = {
  "content-security-policy":
    "sandbox allow-scripts allow-downloads; default-src 'none'; connect-src 'none'; " +
    "script-src 'unsafe-inline' 'wasm-unsafe-eval' blob: data:; worker-src blob:; style-src 'unsafe-inline'; " +
    "img-src data: blob:; form-action 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff",
};

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

/** What a server shows, and how. */
interface ServerOptions {
  /** By default any free port. */
  readonly port?: number;
  /** Headers of files that are not of a run. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Folder of the library's files; by default the checkout, if there is one. */
  readonly root?: string | undefined;
  /** Folder of runs; by default `runs`. */
  readonly runs?: string;
  /** Makes the playground. */
  readonly page?: () => Promise<string>;
}

/**
 * Serves regular files of the checkout and of the folder of runs on this machine, an index of them at `/`, and the
 * playground. A path with a name that begins with a dot, or that links lead out of its folder, is not found. Answers
 * only to names of this machine, so that a page of another site cannot reach it by a name of that site.
 */
export function serveFiles(
  {
    port = 0,
    headers = {},
    root = checkout,
    runs = join(root ?? ".", "runs"),
    page = () => Promise.resolve(playgroundHtml({ library })),
  }: ServerOptions = {},
): Deno.HttpServer<Deno.NetAddr> {
  let made: Promise<string> | undefined;
  const playground = () =>
    made ??= page().catch((error) => {
      if (!(error instanceof DataError)) throw error;
      say(`The playground has no digits: ${describeError(error)}`);
      return playgroundHtml({ library });
    });
  const answer = async (path: string) => {
    if (path === "/") return [await indexOf(runs), types[".html"], headers] as const;
    if (path === "/playground.html") return [await playground(), types[".html"], headers] as const;
    const ofRun = path.startsWith("/runs/");
    const folder = ofRun ? runs : root;
    const file = folder &&
      (ofRun ? await openServed(folder, path.slice("/runs".length)) : await openServed(folder, path, runs));
    const type = types[extname(path)] ?? "application/octet-stream";
    return file && [file.readable, type, ofRun ? confined : headers] as const;
  };
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port, onListen() {} },
    async ({ method, url, headers: asked }) => {
      const refuse = (status: number, text: string, more = {}) =>
        new Response(text, { status, headers: { ...headers, ...more, "content-type": "text/plain" } });
      const hosts = ["127.0.0.1", "localhost"].map((name) =>
        new URL(`http://${name}:${server.addr.port}`).host
      );
      if (!hosts.includes(asked.get("host")?.toLowerCase() ?? "")) {
        return refuse(403, `expected the address http://${hosts[0]}/`);
      }
      if (method !== "GET" && method !== "HEAD") {
        return refuse(405, "expected GET or HEAD", { allow: "GET, HEAD" });
      }
      const path = pathOf(url);
      const answered = path === undefined ? undefined : await answer(path);
      if (!answered) return refuse(404, "not found");
      const [body, type, own] = answered;
      return new Response(body, { headers: { ...own, "content-type": type } }); // of HEAD, only the headers are sent
    },
  );
  return server;
}

/** The path in an address; undefined if it is not valid, or a name begins with a dot. A URL has no `..` left. */
function pathOf(address: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(address).pathname);
    return hasHidden(path) ? undefined : path;
  } catch {
    return undefined;
  }
}

function hasHidden(path: string): boolean {
  return path.split(/[\\/]/).some((name) => name.startsWith("."));
}

/**
 * Opens a regular file of a folder; undefined if there is none, or links lead out of the folder.
 *
 * @param except a folder whose files are served in another way, by whatever path they are reached
 */
async function openServed(folder: string, path: string, except?: string): Promise<Deno.FsFile | undefined> {
  try {
    const real = await Deno.realPath(join(folder, path));
    if (hasHidden(relative(await Deno.realPath(folder), real))) return undefined;
    const other = except && await Deno.realPath(except).catch(() => undefined);
    if (other && !relative(other, real).startsWith("..")) return undefined;
    if ((await Deno.stat(real)).isFile) return await Deno.open(real); // opening a pipe would block
  } catch {
    // there is no such file, or it must not be read
  }
  return undefined;
}

/** A page with links to everything that is served. */
async function indexOf(runs: string): Promise<string> {
  const folders = await Array.fromAsync(Deno.readDir(runs), ({ name }) => name).catch(() => []);
  const reports: Markup[] = [];
  for (const name of folders.filter((name) => !hasHidden(name)).sort().reverse()) {
    const file = await openServed(runs, `${name}/report.html`);
    file?.close();
    const address = `/runs/${encodeURIComponent(name)}/report.html`;
    if (file) reports.push(markup`<li><a href="${address}">${name}</a></li>\n`);
  }
  const links = [
    ["/playground.html", "Playground", "see why flow matching works"],
    ...checkout === undefined ? [] : [
      ["/examples/sample_in_page.html", "Sixteen digits", "drawn in a page"],
      ["/README.md", "README", "and the docs in docs/, as Markdown"],
      ["/mod.ts", "mod.ts", "the library, for imports in Deno; /web/flow.js for pages"],
    ],
  ].map(([address, title, about]) => markup`<li><a href="${address}">${title}</a>: ${about}</li>\n`);
  return markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Flow matching</title>
<style>:root { color-scheme: light dark } body { font: 16px/1.6 system-ui, sans-serif; margin: 2rem auto;
max-width: 42rem; padding: 0 1rem } h1, h2 { line-height: 1.2 }</style></head>
<body><main><h1>Flow matching</h1>
<ul>
${links}</ul>
<h2>Reports of runs</h2>
${
    reports.length > 0
      ? markup`<ul>\n${reports}</ul>`
      : markup`<p>None yet: <code>${startCommand("train:residual")}</code> writes one.</p>`
  }
</main></body></html>`.text;
}

if (import.meta.main) await main(serveTask);
