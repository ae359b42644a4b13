/// <reference lib="dom" />
/** Opens reports in Chromium. */

import assert from "node:assert/strict";
import { type Browser, type Frame, type Page, testInBrowser } from "../../browser.ts";
import { withFolder } from "../../folder.ts";
import { size } from "./made_up.ts";

const { H, W } = size;

type Options = NonNullable<Parameters<Browser["newContext"]>[0]> & {
  /** Script that runs first in the page. */
  readonly before?: () => void;
};

/** A report, alone or in a frame. */
export type Report = Page | Frame;

/** Opens and visits a report; fails if the page logs an error or requests anything. */
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
    // Chromium logs this if a page looks for a GPU and there is none.
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

/** Turns off smooth scrolling, so positions are final at once. */
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

/** Visits of a report: one, or several by name, one after the other. */
type Visits = ((page: Page) => Promise<void>) | Readonly<Record<string, (page: Page) => Promise<void>>>;

/** Defines a test that opens a report from a file, once for all visits. */
export function testReport(
  name: string,
  report: string,
  visits: Visits,
  options: Options = {},
): Promise<void> {
  return testInBrowser(name, (browser) =>
    fromFile(browser, report, options, async (page) => {
      if (typeof visits === "function") return await visits(page);
      for (const [what, visit] of Object.entries(visits)) {
        try {
          await visit(page);
        } catch (cause) {
          throw new Error(`${what}: ${cause}`, { cause });
        }
      }
    }));
}

/** Serves a report as MLflow does: scripts run without an origin, so without storage and other files. */
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

/** Serves a page with a report in a sandboxed frame that allows scripts only. */
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

/** Scrolls to an element, which draws it. */
export async function see(page: Report, id: string): Promise<void> {
  await page.locator(`#${id}`).scrollIntoViewIfNeeded();
  await page.waitForFunction((id) => document.querySelector(`#${id} .main-svg`), id);
}

/** The picture of a canvas as a data URL. */
export function picture(page: Report, id: string): Promise<string> {
  return page.evaluate((id) => (document.getElementById(id) as HTMLCanvasElement).toDataURL(), id);
}

/** Moves the slider of t to a position in [0, 100]. */
export const moveTo = async (page: Report, position: number) => {
  await page.locator("#time").fill(String(position));
  await twoFrames(page);
};

/** Waits until changes are drawn. */
const twoFrames = (page: Report) =>
  page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

/** A trace of a chart. */
export interface Drawn {
  readonly x: number[];
  readonly y: number[];
  readonly name: string;
  readonly showlegend: boolean;
  /** Whether it is hidden by a click in the legend. */
  readonly hidden: boolean;
  readonly mode?: string;
  readonly customdata?: number[];
  readonly line?: { readonly color: string };
  readonly marker?: { readonly color: string; readonly symbol: string };
}

/** The traces of a chart, as Plotly keeps them. */
export function tracesOf(page: Report, id: string): Promise<Drawn[]> {
  return page.evaluate((id) => {
    const { data, _fullData: full } = document.getElementById(id) as unknown as {
      readonly data: Drawn[];
      readonly _fullData: { readonly visible: boolean | string }[];
    };
    return data.map(({ x, y, name, showlegend, mode, customdata, line, marker }, i) => ({
      x: [...x],
      y: [...y],
      name,
      showlegend,
      hidden: full[i].visible === "legendonly",
      ...mode && { mode },
      ...customdata && { customdata: [...customdata] },
      ...line && { line },
      ...marker && { marker },
    }));
  }, id);
}

/** The text of an element. */
export const text = (page: Report, id: string) => page.locator(`#${id}`).innerText();

/** The signed numbers in a text. */
export const numbersIn = (words: string) =>
  [...words.matchAll(/[+\u2212]\d+\.\d+/g)].map(([number]) => Number(number.replace("\u2212", "-")));

/** Tolerance for recorded samples, whose numbers the page rounds. */
export const rounding = 1e-3;

/** Waits until the page shows its controls for sampling, or a line that says why it cannot. */
export async function untilLive(report: Report): Promise<void> {
  await report.locator("#explorer").scrollIntoViewIfNeeded();
  await report.waitForFunction(() => document.documentElement.dataset.live === "ready");
}

/** Draws a sample of a seed with a solver and steps; returns the page's text on it. */
export async function draw(report: Report, seed: number, solver: string, steps: number): Promise<string> {
  await report.locator("#live-solver").selectOption(solver);
  await report.locator("#live-steps").fill(String(steps));
  return await drawSeed(report, seed);
}

/** Draws a sample of a seed with the current controls; returns the page's text on it. */
export async function drawSeed(report: Report, seed: number): Promise<string> {
  await report.locator("#live-seed").fill(String(seed));
  await report.evaluate(() => document.getElementById("live-text")!.textContent = "");
  await report.locator("#live-draw").click();
  await told(report, `Seed ${seed}:`);
  return await text(report, "live-text");
}

/** Waits until the text under the controls begins with `words`. */
export async function told(report: Report, words: string): Promise<void> {
  await report.waitForFunction(
    (words) => document.getElementById("live-text")!.textContent!.startsWith(words),
    words,
  );
}

/** Times, values and velocities of a pixel of the shown sample. */
export async function pixel(report: Report, row: number, column: number) {
  const frame = report.locator(".frame").last();
  const { width, height } = (await frame.boundingBox())!;
  await frame.click({ position: { x: (column + 0.5) / W * width, y: (row + 0.5) / H * height } });
  await report.waitForFunction(
    (start) => document.getElementById("pixel-text")!.textContent!.startsWith(start),
    `row ${row}, column ${column}:`,
  );
  await see(report, "pixel-chart");
  await twoFrames(report);
  const [value, , velocity] = await tracesOf(report, "pixel-chart");
  return { t: value.x, value: value.y, velocity: velocity.y };
}

/** Values of a pixel in all snapshots of f32[M, H, W]. */
export const over = (field: Float32Array, row: number, column: number) =>
  [...field].filter((_, i) => i % (H * W) === row * W + column);

/** Whether the page shows controls for sampling. */
export const controls = (report: Report) => report.locator("#live-draw").isVisible();

/** Start and end of each mark of a kind in a strip, in per cent of t. */
export function marks(report: Report, place: string, kind: "step" | "rejected"): Promise<[number, number][]> {
  return report.locator(`${place} .${kind}`).evaluateAll((all) =>
    all.map((mark) => {
      const [x, end, width] = ["x", "x2", "width"].map((name) =>
        parseFloat(mark.getAttribute(name) ?? "NaN")
      );
      return mark.localName === "rect" ? [x, x + width] : [parseFloat(mark.getAttribute("x1")!), end];
    })
  );
}
