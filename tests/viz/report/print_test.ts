/// <reference lib="dom" />
/** Printed reports. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { library, liveRun, Network } from "./live_data.ts";
import { overTime, plane, quality, two } from "./made_up.ts";
import { type Page, testReport, untilDrawn, untilLive } from "./opened.ts";

const [first, second] = await Promise.all(
  ["a", "b"].map(async (name, i) => ({
    ...await liveRun(name, await Network.of(i)),
    plane: plane(6, 20),
    quality: quality(),
    overTime,
  })),
);
const html = reportHtml({ ...two, runs: [first, second], library });

/** Height in CSS pixels of Letter paper, which is shorter than A4, between margins of 14 mm. */
const pageHeight = (279 - 2 * 14) / 25.4 * 96;
/** Width of A4 paper, which is narrower than Letter. */
const pageWidth = (210 - 2 * 14) / 25.4 * 96;

/** The ids of charts, with their sizes and whether they avoid page breaks. */
const chartsOf = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll(".chart")].filter((chart) => chart.checkVisibility()).map((chart) => {
      let whole: Element | null = chart;
      while (whole && getComputedStyle(whole).breakInside !== "avoid") whole = whole.parentElement;
      const drawn = chart.querySelector(".main-svg")?.getBoundingClientRect().width;
      return {
        id: chart.id,
        isFitting: drawn !== undefined && Math.abs(drawn - chart.clientWidth) < 1,
        height: whole?.getBoundingClientRect().height ?? Infinity,
      };
    })
  );

/** The visible controls and the open tables. */
const seen = (page: Page) =>
  page.evaluate(() => {
    const isSeen = (element: Element) =>
      element.checkVisibility() && element.getBoundingClientRect().width > 1;
    return {
      controls: [...document.querySelectorAll("button, select, input")].filter((one) =>
        !one.closest(".judged, .confusion, .chart")
      ).filter(isSeen).length,
      tables: [...document.querySelectorAll("details")].filter((each) =>
        each.open && isSeen(each)
      ).map((
        each,
      ) => each.querySelector("summary")!.textContent),
      closed: [...document.querySelectorAll("details:not([open])")].filter(isSeen).length,
      ink: getComputedStyle(document.documentElement).getPropertyValue("--ink"),
      widest: Math.max(
        ...Array.from(
          document.querySelectorAll("main *"),
          (one) => isSeen(one) && !one.closest(".unseen, .chart *") ? one.getBoundingClientRect().right : 0,
        ),
      ) - document.querySelector("main")!.getBoundingClientRect().left,
    };
  });

await testReport("reportHtml() prints in light colours, with whole charts and without controls", html, {
  async look(page) {
    await page.emulateMedia({ colorScheme: "dark" });
    await untilLive(page);
    await untilDrawn(page);
    await page.evaluate(() => (document.getElementById("live-more") as HTMLDetailsElement).open = false);
    const { controls, closed, ink } = await seen(page);
    assert.ok(controls > 5 && closed > 5, `${controls} controls, ${closed} closed tables`);

    await page.emulateMedia({ colorScheme: "dark", media: "print" });
    await page.evaluate(() => void dispatchEvent(new Event("beforeprint")));
    const { widest, ...printed } = await seen(page);
    assert.notEqual(printed.ink, ink, "dark ink on paper");
    assert.deepEqual({ ...printed, ink }, {
      controls: 0,
      tables: ["All figures", "Settings", "Machine and code"],
      closed: 0,
      ink,
    });
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
    await untilDrawn(page);
    const pdf = await page.pdf({ format: "A4", printBackground: true });
    assert.ok(pdf.length > 20_000);
    assert.deepEqual((await seen(page)).tables, []);
    assert.deepEqual((await chartsOf(page)).filter(({ isFitting }) => !isFitting), [], "all were drawn");
  },
});
