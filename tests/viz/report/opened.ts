/// <reference lib="dom" />
/** Opens reports in Chromium. */

import assert from "node:assert/strict";
import { type Page as PlainPage, testInBrowser } from "../../browser.ts";
import { withFolder } from "../../folder.ts";
import { size } from "./made_up.ts";
import * as methods from "./reader.ts";

const { H, W } = size;

type Bound<Method> = Method extends (page: PlainPage, ...given: infer Given) => infer Result
  ? (...given: Given) => Result
  : never;

/** A page with the methods of a reader. */
export type Page = PlainPage & { readonly [Name in keyof typeof methods]: Bound<(typeof methods)[Name]> };

function withMethods(page: PlainPage): Page {
  const bound = Object.entries<(page: PlainPage, ...given: never[]) => unknown>(methods)
    .map(([name, method]) => [name, method.bind(null, page)]);
  return Object.assign(page, Object.fromEntries(bound));
}

/** Named visits to a page, in order. */
type Visits = Readonly<Record<string, (page: Page) => Promise<void>>>;

interface Options {
  /** A script to run before the page's own. */
  readonly before?: () => void;
  /** Serves the page as MLflow does: scripts run without an origin, so without storage and other files. */
  readonly sandboxed?: boolean;
}

/** Defines a test that opens a page once for all visits; fails if the page logs an error or requests anything. */
export function testReport(name: string, html: string, visits: Visits, options: Options = {}): Promise<void> {
  return testInBrowser(name, (browser) =>
    withAddress(html, options, async (address) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const page = withMethods(await context.newPage());
      if (options.before) await page.addInitScript(options.before);
      const complaints: string[] = [];
      page.on("console", (message) => {
        // Chromium logs this when a page looks for a GPU and there is none.
        if (message.text() !== "No available adapters.") complaints.push(message.text());
      });
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("request", (request) => {
        if (!/^(blob:|data:|file:|http:\/\/127)/.test(request.url())) {
          complaints.push(`requests ${request.url()}`);
        }
      });
      await page.goto(address);
      await page.waitForSelector("html[data-ready]");
      // Without smooth scrolling, positions are final immediately.
      await page.evaluate(() => document.documentElement.style.scrollBehavior = "auto");
      for (const [what, visit] of Object.entries(visits)) {
        try {
          await visit(page);
        } catch (cause) {
          throw new Error(`${what}: ${cause}`, { cause });
        }
      }
      assert.deepEqual(complaints, []);
      await context.close();
    }));
}

async function withAddress(html: string, { sandboxed }: Options, visit: (address: string) => Promise<void>) {
  if (!sandboxed) {
    return await withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/report.html`, html);
      await visit(`file://${folder}/report.html`);
    });
  }
  const headers = { "content-type": "text/html", "content-security-policy": "sandbox allow-scripts" };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(html, { headers }),
  );
  try {
    await visit(`http://127.0.0.1:${server.addr.port}/`);
  } finally {
    await server.shutdown();
  }
}

/** The signed numbers in a text. */
export const numbersIn = (words: string) =>
  [...words.matchAll(/[+\u2212]\d+\.\d+/g)].map(([number]) => Number(number.replace("\u2212", "-")));

/** Tolerance for recorded samples, because the page rounds their numbers. */
export const rounding = 1e-3;

/** Values of a pixel in all snapshots of f32[M, H, W]. */
export const over = (field: Float32Array, row: number, column: number) =>
  [...field].filter((_, i) => i % (H * W) === row * W + column);
