/// <reference lib="dom" />
/** Printed reports. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { library, liveRun, Network } from "./live_data.ts";
import { overTime, plane, quality, two } from "./made_up.ts";
import { type Page, testReport } from "./opened.ts";

const [first, second] = await Promise.all(
  ["a", "b"].map(async (name, i) => ({
    ...await liveRun(name, await Network.of(i)),
    plane: plane(6, 20),
    quality: quality(),
    overTime,
  })),
);
const html = reportHtml({ ...two, runs: [first, second], library });

/** CSS pixels of a length in millimetres. */
const pixelsOf = (millimetres: number) => millimetres / 25.4 * 96;
/** Height of Letter paper, which is shorter than A4, and width of A4, between margins of 14 mm. */
const [pageHeight, pageWidth] = [pixelsOf(279 - 2 * 14), pixelsOf(210 - 2 * 14)];

/** The charts, with the height of what avoids a page break around each, and whether their pictures fit. */
const chartsOf = (page: Page) =>
  page.locator(".chart:visible").evaluateAll((charts) =>
    charts.map((chart) => {
      let whole: Element | null = chart;
      while (whole && getComputedStyle(whole).breakInside !== "avoid") whole = whole.parentElement;
      const drawn = chart.querySelector(".main-svg")?.getBoundingClientRect().width ?? NaN;
      const isFitting = Math.abs(drawn - chart.clientWidth) < 1;
      return { id: chart.id, isFitting, height: whole?.getBoundingClientRect().height ?? Infinity };
    })
  );

/** The visible controls and tables, the colour of text, and how far the page reaches to the right. */
const seen = (page: Page) =>
  page.evaluate(() => {
    const isSeen = (element: Element) =>
      element.checkVisibility() && element.getBoundingClientRect().width > 1;
    const all = (selector: string) => [...document.querySelectorAll(selector)].filter(isSeen);
    const right = (element: Element) => element.getBoundingClientRect().right;
    return {
      controls: all("button, select, input, .controls").filter((one) =>
        !one.closest(".judged, .confusion, .chart")
      ).length,
      tables: all("details[open]").map((each) => each.querySelector("summary")!.textContent),
      closed: all("details:not([open])").length,
      ink: getComputedStyle(document.documentElement).getPropertyValue("--ink"),
      widest: Math.max(...all("main *").filter((one) => !one.closest(".unseen, .chart *")).map(right)) -
        document.querySelector("main")!.getBoundingClientRect().left,
    };
  });

await testReport("reportHtml() prints in light colours, with whole charts and without controls", html, {
  async look(page) {
    await page.emulateMedia({ colorScheme: "dark" });
    await page.untilLive();
    await page.untilDrawn();
    await page.evaluate(() => (document.getElementById("live-more") as HTMLDetailsElement).open = false);
    const { controls, closed, ink } = await seen(page);
    assert.ok(controls > 5 && closed > 5, `${controls} controls, ${closed} closed tables`);

    await page.emulateMedia({ colorScheme: "dark", media: "print" });
    await page.evaluate(() => void dispatchEvent(new Event("beforeprint")));
    const { widest, ...printed } = await seen(page);
    assert.notEqual(printed.ink, ink, "dark ink on paper");
    const tables = ["The selected pixel over t", "All figures", "Settings", "Machine and code"];
    assert.deepEqual({ ...printed, ink }, { controls: 0, tables, closed: 0, ink });
    assert.ok(widest <= pageWidth, `${widest} px fit on ${pageWidth} px`);
    const charts = await chartsOf(page);
    assert.ok(charts.length >= 8, `${charts.length} charts`);
    for (const { id, isFitting, height } of charts) {
      assert.ok(isFitting, `${id} fits its place`);
      assert.ok(height <= pageHeight, `${id} can be kept on one page: ${height} px of ${pageHeight} px`);
    }

    await page.emulateMedia({ colorScheme: "dark", media: "screen" });
    await page.evaluate(() => void dispatchEvent(new Event("afterprint")));
    const after = await seen(page);
    assert.deepEqual([after.controls, after.closed, after.ink], [controls, closed, ink]);
  },
  async print(page) {
    await page.reload();
    await page.waitForSelector("html[data-ready]");
    await page.untilDrawn();
    assert.ok((await page.pdf({ format: "A4", printBackground: true })).length > 20_000);
    assert.deepEqual((await seen(page)).tables, []);
    assert.deepEqual((await chartsOf(page)).filter(({ isFitting }) => !isFitting), [], "all were drawn");
  },
});
