/// <reference lib="dom" />
/** Charts of a report in Chromium, Firefox and WebKit: zooming, hiding, saving, and arrows that move with t. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { withFolder } from "../../folder.ts";
import {
  complaintsOf,
  inChromium,
  listener,
  testInOtherBrowsers,
  until,
  type VisitedPage,
} from "../../other_browsers.ts";
import { overTime, quality, run } from "./made_up.ts";

const report = reportHtml({ runs: [run("a", { quality: quality(), overTime })] });

/** A drawn chart. */
interface Drawn extends HTMLElement {
  readonly _fullLayout: Record<
    "xaxis" | "yaxis",
    { range: [number, number]; _offset: number; _length: number }
  >;
  readonly _fullData: readonly { visible: boolean | string; type: string; x: ArrayLike<number> }[];
}

interface Saved {
  readonly name: string;
  readonly type: string;
  readonly size: number;
}

async function useCharts(page: VisitedPage): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, "report.html");
    await Deno.writeTextFile(file, report.replace("<head>", `<head>${listener}`));
    await page.resize(1200, 900);
    await page.open(`file://${file}`);
    const chart = "loss-chart";
    await page.run((id) => {
      document.documentElement.style.scrollBehavior = "auto";
      document.getElementById(id)!.scrollIntoView({ block: "center" });
    }, chart);
    await until(page, (id) => document.getElementById(id)!.dataset.drawn, chart);
    const range = () =>
      page.run((id) => (document.getElementById(id) as Drawn)._fullLayout.xaxis.range, chart);
    const at = (x: number, y: number) =>
      page.run(
        (id, x, y) => {
          const element = document.getElementById(id) as Drawn;
          const { left, top } = element.getBoundingClientRect();
          const { xaxis, yaxis } = element._fullLayout;
          return [left + xaxis._offset + x * xaxis._length, top + yaxis._offset + y * yaxis._length] as [
            number,
            number,
          ];
        },
        chart,
        x,
        y,
      );

    const whole = await range();
    await page.drag([await at(0.2, 0.2), await at(0.5, 0.8)]);
    await until(
      page,
      (id, end) => (document.getElementById(id) as Drawn)._fullLayout.xaxis.range[1] < end,
      chart,
      whole[1],
    );
    const [low, high] = await range();
    const width = whole[1] - whole[0];
    assert.ok(
      Math.abs((low - whole[0]) / width - 0.2) < 0.02 && Math.abs((high - whole[0]) / width - 0.5) < 0.02,
    );
    await page.run(
      (id) => document.querySelector<HTMLElement>(`#${id} [data-title="Reset axes"]`)!.click(),
      chart,
    );
    await until(
      page,
      (id, end) => Math.abs((document.getElementById(id) as Drawn)._fullLayout.xaxis.range[1] - end) < 1e-6,
      chart,
      whole[1],
    );

    await page.run((id) => document.querySelector<SVGElement>(`#${id} .legendtoggle`)!.focus(), chart);
    await page.press("Enter");
    await until(
      page,
      (id) => (document.getElementById(id) as Drawn)._fullData[1].visible === "legendonly",
      chart,
    );

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
    for (const [i, format] of ["PNG", "SVG"].entries()) {
      await page.run(
        (id, format) => {
          document.querySelector<HTMLElement>(`#${id} [data-title="Save as ${format}"]`)!.click();
        },
        chart,
        format,
      );
      await until(page, (i) => (globalThis as unknown as { saved: Saved[] }).saved.length > i, i);
    }
    const saved = await page.run(() => (globalThis as unknown as { saved: Saved[] }).saved);
    assert.deepEqual(saved.map(({ name, type }) => [name, type]), [
      ["a-loss.png", "image/png"],
      ["a-loss.svg", "image/svg+xml;charset=utf-8"],
    ]);
    assert.ok(saved[0].size > 10_000 && saved[1].size > 5000, JSON.stringify(saved));

    await page.run(() => document.getElementById("plane-chart")!.scrollIntoView({ block: "center" }));
    await until(page, () => document.getElementById("plane-chart")!.dataset.drawn);
    const arrow = () =>
      page.run(() =>
        [...document.querySelectorAll("#plane-chart .quiver")].at(-1)!.querySelector("path")!.getAttribute(
          "d",
        )
      );
    const before = await arrow();
    await page.run(() => document.body.focus());
    await page.press("ArrowRight");
    await until(
      page,
      (before) =>
        [...document.querySelectorAll("#plane-chart .quiver")].at(-1)!.querySelector("path")!.getAttribute(
          "d",
        ) !== before,
      before,
    );
    assert.deepEqual(await complaintsOf(page), []);
  });
}

await testInOtherBrowsers("charts of a report zoom, reset, hide, save and move", useCharts);

await testInBrowser("Chromium: charts of a report zoom, reset, hide, save and move", async (browser) => {
  await useCharts(inChromium(await browser.newPage()));
});
