/// <reference lib="dom" />
/** Opens reports in Chromium. */

import assert from "node:assert/strict";
import { type Page, testInBrowser } from "../../browser.ts";
import { withFolder } from "../../folder.ts";
import { size } from "./made_up.ts";

export type { Page };

const { H, W } = size;

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
      const page = await context.newPage();
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

/** Scrolls to an element, which draws it. */
export async function see(page: Page, id: string): Promise<void> {
  await page.locator(`#${id}`).scrollIntoViewIfNeeded();
  await page.waitForSelector(`#${id}[data-drawn]`);
  await untilDrawn(page);
}

/** Waits until Plotly has drawn all changes, of charts on the screen and others. */
export async function untilDrawn(page: Page): Promise<void> {
  await twoFrames(page);
  await page.waitForFunction(() =>
    document.documentElement.dataset.drawing === "0" &&
    [...document.querySelectorAll<HTMLElement>(".chart")].every((chart) =>
      chart.dataset.drawn || !chart.clientWidth
    )
  );
}

/** The picture of a canvas as a data URL. */
export function picture(page: Page, id: string): Promise<string> {
  return page.evaluate((id) => (document.getElementById(id) as HTMLCanvasElement).toDataURL(), id);
}

/** Moves the slider of t to a position in [0, 100]. */
export const moveTo = async (page: Page, position: number) => {
  await page.locator("#time").fill(String(position));
  await untilDrawn(page);
};

/** Waits until changes are drawn. */
export const twoFrames = (page: Page) =>
  page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

/** The parts of a drawn chart that tests read. */
interface Drawn extends HTMLElement {
  readonly _fullData: readonly Record<string, unknown>[];
  readonly _fullLayout: Record<"xaxis" | "yaxis", { _offset: number; l2p(value: number): number }>;
}

/** A trace of a chart, with the attributes that Plotly gave it. */
export interface DrawnTrace {
  readonly x: number[];
  readonly y: number[];
  readonly name: string;
  readonly type: string;
  readonly visible: boolean | "legendonly";
  readonly legendgroup: string;
  readonly color: string;
  readonly symbol: string | string[];
  readonly base: number[];
  readonly u: number[];
}

/** The traces of a chart. */
export function tracesOf(page: Page, id: string): Promise<DrawnTrace[]> {
  return page.evaluate((id) => {
    const { _fullData } = document.getElementById(id) as Drawn;
    return _fullData.map((trace) => {
      const { x, y, u, base, name, type, visible, legendgroup, line, marker } = trace as Record<
        string,
        never
      >;
      const list = (values: ArrayLike<number> | undefined) => values === undefined ? [] : Array.from(values);
      const { color, symbol } = Object(marker);
      return {
        ...{ name, type, visible, legendgroup, symbol, color: Object(line).color ?? color },
        ...{ x: list(x), y: list(y), u: list(u), base: list(base) },
      };
    });
  }, id);
}

/** The position of a point of a chart in the page's window, in pixels. */
export function placeInChart(
  page: Page,
  id: string,
  x: number,
  y: number,
): Promise<[left: number, top: number]> {
  return page.evaluate(([id, x, y]) => {
    const chart = document.getElementById(id) as Drawn;
    const { left, top } = chart.getBoundingClientRect();
    const { xaxis, yaxis } = chart._fullLayout;
    return [left + xaxis._offset + xaxis.l2p(x), top + yaxis._offset + yaxis.l2p(y)] as [number, number];
  }, [id, x, y] as const);
}

/** Moves the pointer to a point of the plane, and waits for the page's text on it. */
export async function pointInPlane(page: Page, x: number, y: number, expected: string): Promise<void> {
  const [left, top] = await placeInChart(page, "plane-chart", x, y);
  await page.mouse.move(left + 2, top);
  await page.mouse.move(left, top);
  await untilText(page, "plane-text", new RegExp(`^${expected}$`));
  await page.waitForFunction(
    (expected) =>
      document.querySelector("#plane-chart .hovertext")?.textContent?.replaceAll(/\s+/g, " ").startsWith(
        expected,
      ),
    expected,
  );
}

/** The text of an element. */
export const text = (page: Page, id: string) => page.locator(`#${id}`).innerText();

/** The texts of the options of a select. */
export const optionsOf = (page: Page, id: string) => page.locator(`#${id} option`).allTextContents();

/** The signed numbers in a text. */
export const numbersIn = (words: string) =>
  [...words.matchAll(/[+\u2212]\d+\.\d+/g)].map(([number]) => Number(number.replace("\u2212", "-")));

/** Tolerance for recorded samples, because the page rounds their numbers. */
export const rounding = 1e-3;

/** Waits until the page shows all its controls for sampling, or a line that explains why it cannot. */
export async function untilLive(page: Page): Promise<void> {
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.documentElement.dataset.live === "ready");
  await page.evaluate(() => {
    const more = document.getElementById("live-more") as HTMLDetailsElement | null;
    if (more) more.open = true;
  });
}

/** Sets controls for sampling: selects, by value or label, and other fields. */
export async function set(page: Page, values: Readonly<Record<string, string | number>>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    const control = page.locator(`#live-${name}`);
    const isSelect = await control.evaluate(({ tagName }) => tagName === "SELECT");
    await (isSelect ? control.selectOption(`${value}`) : control.fill(`${value}`));
  }
}

/** Draws a sample of a seed with a solver and steps; returns the page's text about it. */
export async function draw(page: Page, seed: number, solver: string, steps: number): Promise<string> {
  await set(page, { solver, steps });
  return await drawSeed(page, seed);
}

/** Draws a sample of a seed with the current controls; returns the page's text about it. */
export async function drawSeed(page: Page, seed: number): Promise<string> {
  await set(page, { seed });
  await clearText(page);
  await page.locator("#live-draw").click();
  await told(page, `Seed ${seed}:`);
  return await text(page, "live-text");
}

/** Empties the text under the controls. */
export const clearText = (page: Page) =>
  page.evaluate(() => document.getElementById("live-text")!.textContent = "");

/** Waits until the text under the controls starts with `words`. */
export async function told(page: Page, words: string): Promise<void> {
  await page.waitForFunction(
    (words) => document.getElementById("live-text")!.textContent!.startsWith(words),
    words,
  );
}

/** Waits until the text of an element matches. */
export async function untilText(page: Page, id: string, pattern: RegExp): Promise<void> {
  await page.waitForFunction(
    ([id, source]) => new RegExp(source).test(document.getElementById(id)!.innerText),
    [id, pattern.source],
  ).catch(async () => assert.match(await text(page, id), pattern));
}

/** Waits until the page's text is about this pixel. */
export async function untilAt(page: Page, row: number, column: number): Promise<void> {
  await page.waitForFunction(
    (start) => document.getElementById("pixel-text")!.textContent!.startsWith(start),
    `row ${row}, column ${column}`,
  );
}

/** Times, values and velocities of a pixel of the current sample. */
export async function pixel(page: Page, row: number, column: number) {
  const frame = page.locator(".frame").last();
  const { width, height } = (await frame.boundingBox())!;
  await page.evaluate(() => document.getElementById("pixel-text")!.textContent = "");
  await frame.click({ position: { x: (column + 0.5) / W * width, y: (row + 0.5) / H * height } });
  await untilAt(page, row, column);
  await see(page, "pixel-chart");
  await page.waitForFunction(() => {
    const [text, chart] = ["pixel-text", "pixel-chart"].map((id) => document.getElementById(id)!.dataset.key);
    return text === chart;
  });
  await untilDrawn(page);
  const [value, , velocity] = await tracesOf(page, "pixel-chart");
  return { t: value.x, value: value.y, velocity: velocity.y };
}

/** Values of a pixel in all snapshots of f32[M, H, W]. */
export const over = (field: Float32Array, row: number, column: number) =>
  [...field].filter((_, i) => i % (H * W) === row * W + column);

/** Whether the page shows controls for sampling. */
export const controls = (page: Page) => page.locator("#live-draw").isVisible();

/** Switches the brush on and makes it one pixel wide. */
export async function takeBrush(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Paint", exact: true }).click();
  await page.locator("#brush-size").fill("1");
}

/** Start and end of each step of an adaptive solver in a chart. */
export async function stepsIn(
  page: Page,
  place: string,
  kind: "taken" | "rejected",
): Promise<[number, number][]> {
  await page.locator(`${place} .chart[data-drawn]`).waitFor();
  await untilDrawn(page);
  return await page.locator(`${place} .chart`).evaluate((chart, kind) => {
    const { base, x } = (chart as Drawn)._fullData.find(({ name }) => name === kind) as Record<
      string,
      number[]
    >;
    return Array.from(base, (start, i) => [start, start + x[i]] as [number, number]);
  }, kind);
}

/** Paints a dot at the selected pixel with the keyboard. */
export async function paintDot(page: Page): Promise<void> {
  await page.locator(".frame").first().focus();
  await page.keyboard.press("Space");
}
