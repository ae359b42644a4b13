/// <reference lib="dom" />
/** Reports in Chromium, Firefox and WebKit: sampling, painting, keys, charts, and what a served report may read. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { serveFiles } from "../../../experiments/serve.ts";
import { reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { withFolder } from "../../folder.ts";
import {
  eventually,
  inChromium,
  type OpenPage,
  testInOtherBrowsers,
  until,
  useFile,
  type VisitedPage,
} from "../../other_browsers.ts";
import { library, liveRun, Network } from "./live_data.ts";
import { overTime, plane, quality, run } from "./made_up.ts";

const live = await liveRun("a", await Network.of(3));
const report = reportHtml({
  runs: [{ ...live, plane: plane(6, 20), quality: quality(), overTime }],
  library,
});

type Axis = { readonly range: [number, number]; readonly _offset: number; readonly _length: number };

/** A drawn chart. */
interface Drawn extends HTMLElement {
  readonly _fullLayout: Record<"xaxis" | "yaxis", Axis>;
  readonly _fullData: readonly { visible: boolean | string }[];
}

/** What the page saved instead of downloading it. */
interface Saved {
  readonly name: string;
  readonly type: string;
  readonly size: number;
}

/** Waits until the line below the controls starts with some words. */
const untilSaid = (page: OpenPage, words: string) =>
  until(page, (words) => document.getElementById("live-text")!.textContent!.startsWith(words), words);

/** Scrolls to the sample, and draws new noise once the network is loaded. */
async function draw(page: OpenPage): Promise<void> {
  await until(page, () => document.documentElement.dataset.ready);
  await page.run(() => {
    document.documentElement.style.scrollBehavior = "auto";
    document.getElementById("flow")!.scrollIntoView();
  });
  await until(page, () => document.documentElement.dataset.live === "ready");
  await untilSaid(page, "The network runs in this page, on CPU, 1 thread");
  await page.run(() => document.getElementById("live-draw")!.click());
  await untilSaid(page, "Seed 1: ");
}

/** Draws in a worker, moves t by a key, and drags the brush across the sample. */
async function paint(page: VisitedPage): Promise<void> {
  await draw(page);
  const workers = await page.run(() => (globalThis as unknown as { workers: string[] }).workers);
  assert.match(workers.join(), /^blob:[^,]*$/, "one worker computes");
  await page.run(() => document.getElementById("paint")!.click());
  await page.run(() => document.getElementById("time")!.focus());
  await page.press("ArrowRight");
  await until(page, () => +(document.getElementById("time") as HTMLInputElement).value > 50);
  const corners = await page.run(() => {
    const canvas = document.getElementById("view-x")!;
    canvas.scrollIntoView({ block: "center" });
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [0.3, 0.7].map((part) => [left + part * width, top + part * height] as [number, number]);
  });
  await page.drag(corners);
  await untilSaid(page, "Seed 1 painted at t = 0.5");
}

/** Scrolls to a chart, which draws it. */
async function see(page: OpenPage, id: string): Promise<void> {
  await page.run((id) => document.getElementById(id)!.scrollIntoView({ block: "center" }), id);
  await until(page, (id) => document.getElementById(id)!.dataset.drawn, id);
}

/** Zooms by dragging, resets, hides a class, and saves pictures; arrows move with t. */
async function useCharts(page: VisitedPage): Promise<void> {
  await see(page, "loss-chart");
  const range = () =>
    page.run(() => (document.getElementById("loss-chart") as Drawn)._fullLayout.xaxis.range);
  const at = (x: number, y: number) =>
    page.run(
      (x, y) => {
        const chart = document.getElementById("loss-chart") as Drawn;
        const { left, top } = chart.getBoundingClientRect();
        const { xaxis, yaxis } = chart._fullLayout;
        const place = [left + xaxis._offset + x * xaxis._length, top + yaxis._offset + y * yaxis._length];
        return place as [number, number];
      },
      x,
      y,
    );
  const press = (title: string) =>
    page.run((title) => {
      document.querySelector<HTMLElement>(`#loss-chart [data-title="${title}"]`)!.click();
    }, title);

  const [from, to] = await range();
  await page.drag([await at(0.2, 0.2), await at(0.5, 0.8)]);
  await eventually(async () => (await range())[1] < to - 1);
  const [low, high] = (await range()).map((end) => (end - from) / (to - from));
  assert.ok(Math.abs(low - 0.2) < 0.02 && Math.abs(high - 0.5) < 0.02, `from ${low} to ${high}`);
  if (page.doubleClick) await page.doubleClick(await at(0.5, 0.5));
  else await press("Reset axes");
  await eventually(async () => Math.abs((await range())[1] - to) < 1e-6);

  await page.run(() => document.querySelector<SVGElement>("#loss-chart .legendtoggle")!.focus());
  await page.press("Enter");
  const hidden = () => (document.getElementById("loss-chart") as Drawn)._fullData[1].visible;
  await eventually(async () => await page.run(hidden) === "legendonly");

  await page.run(() => {
    const { createObjectURL } = URL;
    const saved: Saved[] = [];
    Object.assign(globalThis, { saved });
    let last: Blob | MediaSource;
    URL.createObjectURL = (blob) => createObjectURL(last = blob);
    HTMLAnchorElement.prototype.click = function () {
      const { type, size } = last as Blob;
      saved.push({ name: this.download, type, size });
    };
  });
  const saved = () => page.run(() => (globalThis as unknown as { saved: Saved[] }).saved);
  for (const [i, format] of ["PNG", "SVG"].entries()) {
    await press(`Save as ${format}`);
    await eventually(async () => (await saved()).length > i);
  }
  const [png, svg] = await saved();
  assert.deepEqual([png.name, png.type], ["a-loss.png", "image/png"]);
  assert.deepEqual([svg.name, svg.type], ["a-loss.svg", "image/svg+xml;charset=utf-8"]);
  assert.ok(png.size > 10_000 && svg.size > 5000, `${png.size} and ${svg.size} bytes`);

  await see(page, "plane-chart");
  const arrow = () =>
    [...document.querySelectorAll("#plane-chart .quiver")].at(-1)!.querySelector("path")!.getAttribute("d");
  const before = await page.run(arrow);
  await page.run(() => (document.activeElement as HTMLElement).blur());
  await page.press("ArrowRight");
  await eventually(async () => await page.run(arrow) !== before);
}

/** A served report samples live, but reads nothing else that is served, and sends nothing anywhere. */
async function useServedReport(page: OpenPage): Promise<void> {
  await withFolder(async (folder) => {
    await Deno.mkdir(join(folder, "runs/a"), { recursive: true });
    await Deno.writeTextFile(join(folder, "runs/a/report.html"), report);
    await Deno.writeTextFile(join(folder, "mod.ts"), "secret");
    await using server = serveFiles({ root: folder });
    await page.open(`http://127.0.0.1:${server.addr.port}/runs/a/report.html`);
    await draw(page);
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
    const answers = () => [document.documentElement.dataset.fetched, document.documentElement.dataset.image];
    await eventually(async () => (await page.run(answers)).every(Boolean));
    assert.deepEqual(await page.run(answers), ["refused", "error"]);
  });
}

async function useReport(page: VisitedPage): Promise<void> {
  await page.resize(1280, 900);
  await useFile(page, report, "", async () => {
    await paint(page);
    await useCharts(page);
  });
  await useServedReport(page);
}

await testInBrowser(
  "Chromium: a report samples, paints, and its charts zoom, hide, save and move",
  async (browser) => {
    await useReport(inChromium(await browser.newPage()));
  },
);

await testInBrowser(
  "Chromium: labels of low logarithmic axes in a report do not overlap",
  async (browser) => {
    const page = inChromium(await browser.newPage());
    const step = Array.from({ length: 200 }, (_, i) => i + 1);
    const stages = [{ name: "one", from: 0 }, { name: "two", from: 100 }];
    for (const [high, low] of [[0.95, 0.1], [0.55, 0.06], [1.5, 0.05], [0.4, 0.25]]) {
      await page.resize(1280, 900);
      const trainLoss = { step, value: step.map((s) => low + (high - low) * Math.exp(-s / 30)) };
      await useFile(page, reportHtml({ runs: [run("a", { trainLoss, stages })] }), "", async () => {
        for (const [id, axis] of [["loss", "y"], ["loss", "y2"], ["loss", "y3"]]) {
          await see(page, `${id}-chart`);
          const labels = await page.run(
            (selector) =>
              [...document.querySelectorAll(selector)].map((label) => {
                const { top, bottom } = label.getBoundingClientRect();
                return [top, bottom];
              }),
            `#${id}-chart .${axis}tick text`,
          );
          labels.sort(([a], [b]) => a - b);
          const free = labels.slice(1).map(([top], i) => top - labels[i][1]);
          assert.ok(labels.length > 1 && Math.min(...free) > 0, `${id} ${axis}, ${high} to ${low}: ${free}`);
        }
      });
    }
  },
);

await testInOtherBrowsers(
  "a report samples, paints, and its charts zoom, hide, save and move; the example draws digits",
  async (page) => {
    await useReport(page);
    await using server = serveFiles();
    await page.open(`http://127.0.0.1:${server.addr.port}/examples/sample_in_page.html`);
    const words = () => document.getElementById("words")!.textContent!;
    await eventually(async () => (await page.run(words)).startsWith("16 digits"));
    assert.match(await page.run(words), /^16 digits in \d+ ms on cpu: 1 thread, WebAssembly SIMD/);
  },
);
