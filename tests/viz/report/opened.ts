/// <reference lib="dom" />
/** Reports as a reader opens them. */

import assert from "node:assert/strict";
import type { Browser, Frame, Page } from "../../browser.ts";
import { withFolder } from "../../folder.ts";

type Options = NonNullable<Parameters<Browser["newContext"]>[0]> & {
  /** Runs in the page before all else. */
  readonly before?: () => void;
};

/** A report, alone or in a frame. */
export type Report = Page | Frame;

/** Opens a report and does something with it; any complaint of the page fails. */
async function open(
  browser: Browser,
  address: string,
  { before, ...options }: Options,
  visit: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  if (before) await page.addInitScript(before);
  const complaints: string[] = [];
  page.on("console", (message) => {
    // Chromium's own words where a page asks whether there is a GPU.
    if (message.text() !== "No available adapters.") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!/^(blob:|data:|file:|http:\/\/127)/.test(request.url())) {
      complaints.push(`asks for ${request.url()}`);
    }
  });
  await page.goto(address);
  await page.waitForSelector("html[data-ready]");
  await scrollAtOnce(page);
  await visit(page);
  assert.deepEqual(complaints, []);
  await context.close();
}

/** Lets nothing glide: a test that points at something must know where it is. */
async function scrollAtOnce(report: Report): Promise<void> {
  await report.evaluate(() => document.documentElement.style.scrollBehavior = "auto");
}

/** Opens a report from a file. */
export async function fromFile(
  browser: Browser,
  report: string,
  options: Options,
  visit: (page: Page) => Promise<void>,
) {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/report.html`, report);
    await open(browser, `file://${folder}/report.html`, options, visit);
  });
}

/** Serves a report as MLflow does: its programs may run, but have no origin, so no storage and no other file. */
export function fromServer(
  browser: Browser,
  report: string,
  visit: (page: Page) => Promise<void>,
): Promise<void> {
  const headers = { "content-type": "text/html", "content-security-policy": "sandbox allow-scripts" };
  return served({ "/": () => new Response(report, { headers }) }, (address) => {
    return open(browser, address, {}, visit);
  });
}

/** Serves a page with a report in a frame that may run programs and nothing else. */
export async function inFrame(
  browser: Browser,
  report: string,
  visit: (report: Report) => Promise<void>,
): Promise<void> {
  const around = `<!doctype html><html data-ready="true"><title>frame</title><link rel="icon" href="data:,">
<iframe src="/report" sandbox="allow-scripts" style="width:1200px;height:850px"></iframe></html>`;
  await served(
    { "/": () => html(around), "/report": () => html(report) },
    (address) =>
      open(browser, address, {}, async (page) => {
        const frame = page.frames()[1];
        await frame.waitForSelector("html[data-ready]");
        await visit(frame);
      }),
  );
}

const html = (text: string) => new Response(text, { headers: { "content-type": "text/html" } });

async function served(
  pages: Record<string, () => Response>,
  visit: (address: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => pages[new URL(request.url).pathname]?.() ?? new Response("", { status: 404 }),
  );
  try {
    await visit(`http://127.0.0.1:${server.addr.port}/`);
  } finally {
    await server.shutdown();
  }
}

/** Scrolls to an element, so that it is drawn. */
export async function see(page: Report, id: string): Promise<void> {
  await page.locator(`#${id}`).scrollIntoViewIfNeeded();
  await page.waitForFunction((id) => document.querySelector(`#${id} .main-svg`), id);
}

/** What a canvas shows. */
export function picture(page: Report, id: string): Promise<string> {
  return page.evaluate((id) => (document.getElementById(id) as HTMLCanvasElement).toDataURL(), id);
}

/** Moves the slider of t to a position in [0, 100]. */
export const moveTo = async (page: Report, position: number) => {
  await page.locator("#time").fill(String(position));
  await page.evaluate(() =>
    new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  );
};

/** What an element says. */
export const text = (page: Report, id: string) => page.locator(`#${id}`).innerText();

/** The numbers with a sign among some words. */
export const numbersIn = (words: string) =>
  [...words.matchAll(/[+\u2212]\d+\.\d+/g)].map(([number]) => Number(number.replace("\u2212", "-")));
