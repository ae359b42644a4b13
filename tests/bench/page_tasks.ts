/// <reference lib="dom" />
/**
 * Prints the longest tasks of the main thread of a report in Chromium, while it opens, plays and samples: in processor
 * time, which other programs hardly change, and in elapsed time. Above 50 ms, a page feels stuck.
 *
 * `deno run --lock=tests/deno.lock --allow-read --allow-write --allow-run --allow-env --allow-sys --allow-net=127.0.0.1 \
 * tests/bench/page_tasks.ts runs/residual/report.html`
 *
 * With the weights of a flow map instead of a report (`FILE.safetensors`), it prints the milliseconds that a page
 * takes, on one thread, to draw 1 and 16 images in one evaluation with `web/flow.js`.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { base64 } from "../../viz/image/base64.ts";
import { library } from "../../web/flow_text.js";
import type * as web from "../../web/mod.ts";
import { chromium, launch, type Page } from "../browser.ts";

/** An event of Chromium's tracing; durations are in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly tid: number;
  readonly pid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args: { readonly name?: string; readonly data?: { readonly [key: string]: unknown } };
}

const categories = ["disabled-by-default-devtools.timeline"];

/** An action of the reader, and when it is done. */
const acts: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  async "open the report"(page) {
    await page.goto(address);
    await page.waitForSelector("html[data-ready]");
  },
  async "start the network"(page) {
    await page.locator("#explorer").scrollIntoViewIfNeeded();
    await page.waitForFunction(() => document.documentElement.dataset.live === "ready");
    await page.waitForTimeout(500);
  },
  async "draw new noise"(page) {
    for (let i = 0; i < 3; i++) {
      const seed = await page.locator("#live-seed").inputValue();
      await page.locator("#live-draw").click();
      await told(page, `Seed ${seed}:`);
    }
  },
  async "paint"(page) {
    await page.locator("#time").fill("40");
    await page.locator("#paint").click();
    await page.locator("#view-x").scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await page.locator("#view-x").boundingBox())!;
    await page.mouse.move(x + 0.2 * width, y + 0.2 * height);
    await page.mouse.down();
    for (let i = 1; i <= 30; i++) {
      await page.mouse.move(x + (0.2 + 0.02 * i) * width, y + (0.2 + 0.02 * i) * height);
      await page.waitForTimeout(50);
    }
    await page.mouse.up();
    await page.waitForFunction(() => /painted at/.test(document.getElementById("live-text")!.textContent!));
    await page.locator("#paint").click();
  },
  async "draw sixteen samples"(page) {
    await page.evaluate(() => (document.getElementById("live-more") as HTMLDetailsElement).open = true);
    await page.locator("#live-many").click();
    await told(page, "Seeds ");
    await page.waitForTimeout(3000); // for the judge
  },
  async "measure a test image"(page) {
    await page.locator("#bits-examples button").first().click();
    await page.waitForFunction(() =>
      /per dimension/.test(document.getElementById("bits-text")!.textContent!)
    );
  },
  async "play at the flow"(page) {
    await page.locator("#explorer").scrollIntoViewIfNeeded();
    await play(page);
  },
  async "play at the plane"(page) {
    await page.evaluate(() => document.getElementById("plane-chart")!.scrollIntoView({ block: "center" }));
    await page.waitForTimeout(1500);
    await play(page);
  },
  async "drag t"(page) {
    await page.locator("#explorer").scrollIntoViewIfNeeded();
    await page.locator("#time").scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await page.locator("#time").boundingBox())!;
    await page.mouse.move(x + 5, y + height / 2);
    await page.mouse.down();
    for (let i = 0; i < 100; i++) await page.mouse.move(x + i / 100 * width, y + height / 2);
    await page.mouse.up();
  },
};

async function play(page: Page): Promise<void> {
  await page.locator("#play").evaluate((button: HTMLElement) => button.click());
  await page.waitForTimeout(6500);
}

function told(page: Page, words: string) {
  return page.waitForFunction(
    (words) => document.getElementById("live-text")!.textContent!.startsWith(words),
    words,
  );
}

/** Draws images in one evaluation; runs in the page. Returns a line for each number of images. */
async function drawInPage(
  [library, weights]: readonly [library: string, weights: string],
): Promise<string[]> {
  const { init, loadCheckpoint, noise, Sampler, tensor }: typeof web = await import(
    `data:text/javascript;charset=utf-8,${encodeURIComponent(library)}`
  );
  const device = await init({ device: "cpu" });
  const bytes = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
  const { model, shape, info: { config: { classes = 0 } } } = loadCheckpoint(bytes, "the weights");
  const lines = [device.description];
  for (const count of [1, 16]) {
    const labels = classes > 0 &&
      { condition: tensor(Uint32Array.from({ length: count }, (_, n) => n % classes)) };
    const sampler = new Sampler(model, [count, ...shape], { solver: "map", steps: 1, ...labels });
    const times: number[] = [];
    for (let seed = 0; seed < 60; seed++) {
      const started = performance.now();
      await sampler.run(noise(seed, [count, ...shape])).read();
      if (seed >= 10) times.push(performance.now() - started); // the first ones warm up
    }
    times.sort((a, b) => a - b);
    const [least, median] = [times[0], times[times.length / 2]];
    lines.push(`${count} in one evaluation: median ${median.toFixed(1)} ms, least ${least.toFixed(1)} ms`);
  }
  return lines;
}

/** Prints the longest tasks of each act. */
async function measureReport(): Promise<void> {
  console.log("longest tasks of the main thread, in ms of processor time (and by the clock)");
  for (const [name, act] of Object.entries(acts)) {
    await browser.startTracing(page, { categories });
    await act(page);
    const { traceEvents }: { traceEvents: TraceEvent[] } = JSON.parse(
      new TextDecoder().decode(await browser.stopTracing()),
    );
    const mains = new Set(
      traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
        .map(({ pid, tid }) => `${pid} ${tid}`),
    );
    const tasks = traceEvents.filter(({ name, pid, tid }) => name === "RunTask" && mains.has(`${pid} ${tid}`))
      .map(({ dur = 0, tdur = 0 }) => ({ dur, tdur })).sort((a, b) => b.tdur - a.tdur);
    const ms = (us: number) => (us / 1000).toFixed(0);
    const long = tasks.filter(({ tdur }) => tdur > 50_000).length;
    const worst = tasks.slice(0, 4).map(({ dur, tdur }) => `${ms(tdur)} (${ms(dur)})`).join(", ");
    console.log(`${name.padEnd(22)} ${worst}; ${long} over 50 ms`);
  }
}

const [report] = Deno.args;
const program = await chromium();
if (report === undefined || typeof program !== "string") {
  throw new Error("Cannot measure: expected one argument, a report or weights, and Chromium");
}
const address = pathToFileURL(resolve(report)).href;
const browser = await launch(program);
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.on("pageerror", (error) => console.log(error.message));
await page.goto("about:blank");
if (report.endsWith(".safetensors")) {
  const lines = await page.evaluate(drawInPage, [library, base64(await Deno.readFile(report))] as const);
  console.log(lines.join("\n"));
} else {
  await measureReport();
}
await browser.close();
