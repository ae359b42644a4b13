/// <reference lib="dom" />
/** Reports in Firefox and WebKit: opening, sampling, painting and keys, in wide and narrow windows. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { reportHtml } from "../../../viz/report/mod.ts";
import { withFolder } from "../../folder.ts";
import { serveFiles } from "../../../experiments/serve.ts";
import {
  complaintsOf,
  inChromium,
  listener,
  type OpenPage,
  testInOtherBrowsers,
  until,
  type VisitedPage,
} from "../../other_browsers.ts";
import { testInBrowser } from "../../browser.ts";
import { library, liveRun, Network } from "./live_data.ts";

const runs = await Promise.all(
  ["a run", "another"].map(async (name, i) => liveRun(name, await Network.of(3 + i))),
);
const report = reportHtml({ runs, library });

/** The line below the controls. */
const said = (page: VisitedPage) => page.run(() => document.getElementById("live-text")!.textContent!);

async function useReport(page: VisitedPage): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, "report.html");
    await Deno.writeTextFile(file, report.replace("<head>", `<head>${listener}`));
    await page.resize(1280, 900);
    await page.open(`file://${file}`);
    await until(page, () => document.documentElement.dataset.ready);
    await page.run(() => {
      document.documentElement.style.scrollBehavior = "auto";
      document.getElementById("flow")!.scrollIntoView();
    });
    await until(page, () => document.documentElement.dataset.live === "ready");
    assert.match(await said(page), /^The network runs in this page, on CPU, 1 thread/);
    await page.run(() => document.getElementById("live-draw")!.click());
    await until(page, () => document.getElementById("live-text")!.textContent!.startsWith("Seed 1: "));
    const workers = await page.run(() => (globalThis as unknown as { workers: string[] }).workers);
    assert.equal(workers.length, 1, "it computes in a worker");
    assert.match(workers[0], /^blob:/);
    await page.run(() => document.getElementById("paint")!.click());
    await page.run(() => document.getElementById("time")!.focus());
    await page.press("ArrowRight");
    await until(page, () => +(document.getElementById("time") as HTMLInputElement).value > 50);
    for (const width of [1280, 500]) {
      await page.resize(width, 900);
      await paint(page);
      assert.equal(
        await page.run(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
        0,
        "nothing is wider than the page",
      );
    }
    assert.deepEqual(await complaintsOf(page), []);
  });
}

/** Drags the brush across the sample at its current time, in steps of 0.05. */
async function paint(page: VisitedPage): Promise<void> {
  await page.run(() => {
    document.getElementById("live-text")!.textContent = "";
    document.getElementById("view-x")!.scrollIntoView({ block: "center" });
  });
  const corners = await page.run(() => {
    const { left, top, width, height } = document.getElementById("view-x")!.getBoundingClientRect();
    return [0.3, 0.7].map((part) => [left + part * width, top + part * height] as [number, number]);
  });
  await page.drag(corners);
  await until(page, () => /painted at t = 0\.5/.test(document.getElementById("live-text")!.textContent!));
}

/** A served report samples live, but reads nothing else that is served, and sends nothing anywhere. */
async function useServedReport(page: OpenPage): Promise<void> {
  await withFolder(async (folder) => {
    await Deno.mkdir(join(folder, "runs/a"), { recursive: true });
    await Deno.writeTextFile(join(folder, "runs/a/report.html"), report);
    await Deno.writeTextFile(join(folder, "mod.ts"), "secret");
    await using server = serveFiles({ root: folder });
    await page.open(`http://127.0.0.1:${server.addr.port}/runs/a/report.html`);
    await until(page, () => document.documentElement.dataset.ready);
    await page.run(() => document.getElementById("flow")!.scrollIntoView());
    await until(page, () => document.documentElement.dataset.live === "ready");
    await page.run(() => document.getElementById("live-draw")!.click());
    await until(page, () => document.getElementById("live-text")!.textContent!.startsWith("Seed 1: "));
    const got = await page.run(() => {
      const { dataset } = document.documentElement;
      const image = new Image();
      image.onload = () => dataset.image = "shown";
      image.onerror = () => dataset.image = "error";
      image.src = "/mod.ts";
      fetch("/mod.ts").then((response) => response.text()).catch(() => "refused")
        .then((text) => dataset.fetched = text);
      return self.origin;
    });
    assert.equal(got, "null");
    await until(
      page,
      () => document.documentElement.dataset.fetched && document.documentElement.dataset.image,
    );
    const { fetched, image } = await page.run(() => ({ ...document.documentElement.dataset }));
    assert.deepEqual([fetched, image], ["refused", "error"]);
  });
}

async function drawExample(page: VisitedPage): Promise<void> {
  await using server = serveFiles();
  await page.open(`http://127.0.0.1:${server.addr.port}/examples/sample_in_page.html`);
  await until(page, () => document.getElementById("words")!.textContent!.startsWith("16 digits"));
  assert.match(
    await page.run(() => document.getElementById("words")!.textContent!),
    /^16 digits in \d+ ms on cpu: 1 thread, WebAssembly SIMD/,
  );
}

await testInOtherBrowsers(
  "a report samples, paints and handles keys; and the example draws digits",
  async (page) => {
    await useReport(page);
    await useServedReport(page);
    await drawExample(page);
  },
);

await testInBrowser("Chromium: a served report samples, but reads nothing else", async (browser) => {
  await useServedReport(inChromium(await browser.newPage()));
});
