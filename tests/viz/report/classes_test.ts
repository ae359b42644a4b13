/// <reference lib="dom" />
/** The plane of paths with many classes, and with none. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { plane, run } from "./made_up.ts";
import { fromFile, moveTo, type Report, see, text } from "./opened.ts";

interface PlotData {
  readonly data: {
    x: ArrayLike<number>;
    name: string;
    showlegend: boolean;
    customdata?: number[];
    marker?: { color: string; symbol: string };
  }[];
}

/** The points of each class on the chart. */
function pointsOf(report: Report) {
  return report.evaluate(() =>
    (document.getElementById("plane-chart") as unknown as PlotData).data
      .filter(({ customdata }) => customdata)
      .map(({ x, name, showlegend, marker }) => ({ count: x.length, name, showlegend, ...marker! }))
  );
}

/** A report of samples of some classes. */
const report = (classes: number[]) => {
  const { real, ...rest } = plane(4, classes.length);
  const ofReal = Array.from({ length: 30 }, (_, n) => classes[n % classes.length]);
  return reportHtml({
    runs: [run("many", { plane: { ...rest, classes, real: { ...real, classes: ofReal } } })],
  });
};

await testInBrowser(
  "reportHtml() shows samples of 26 classes, each with a mark of its own",
  async (browser) => {
    const classes = Array.from({ length: 60 }, (_, n) => n % 26);
    await fromFile(browser, report(classes), {}, async (page) => {
      await see(page, "plane-chart");
      await moveTo(page, 100);
      const points = await pointsOf(page);
      assert.deepEqual(points.map(({ name }) => name), Array.from({ length: 26 }, (_, c) => `${c}`));
      assert.equal(points.reduce((sum, { count }) => sum + count, 0), 60, "no sample vanishes");
      assert.equal(new Set(points.map(({ color, symbol }) => `${color} ${symbol}`)).size, 26);
      assert.ok(points.every(({ showlegend }) => showlegend));
      assert.equal(await text(page, "plane-text"), "sample 1, class 0");
      assert.match(await page.locator("#plane").innerText(), /Colours and shapes are classes/);
    });
  },
);

await testInBrowser("reportHtml() calls classes by their names", async (browser) => {
  const { real, ...rest } = plane(4, 4);
  const named = { ...rest, classes: [0, 1, 1, 2], classNames: ["cat", "<b>owl</b>"], real };
  await fromFile(browser, reportHtml({ runs: [run("named", { plane: named })] }), {}, async (page) => {
    await see(page, "plane-chart");
    assert.deepEqual((await pointsOf(page)).map(({ name }) => name), ["cat", "&lt;b&gt;owl&lt;/b&gt;", "2"]);
    assert.equal(await text(page, "plane-text"), "sample 1, class cat");
  });
});

await testInBrowser("reportHtml() shows classes beyond all marks by their numbers", async (browser) => {
  await fromFile(browser, report([100, 500, 4, 500]), {}, async (page) => {
    await see(page, "plane-chart");
    const points = await pointsOf(page);
    assert.deepEqual(points.map(({ name, count }) => [name, count]), [["4", 1], ["100", 1], ["500", 2]]);
  });
});

await testInBrowser("reportHtml() shows samples without classes", async (browser) => {
  const { classes: _, classifier: __, real: { position }, ...rest } = plane(4, 9);
  const page = reportHtml({ runs: [run("bare", { plane: { ...rest, real: { position } } })] });
  assert.doesNotMatch(page.replace(/<script[\s\S]*?<\/script>/g, ""), /classifier/);
  await fromFile(browser, page, {}, async (page) => {
    await see(page, "plane-chart");
    const points = await pointsOf(page);
    assert.deepEqual(
      points.map(({ name, count, showlegend }) => ({ name, count, showlegend })),
      [{ name: "samples", count: 9, showlegend: false }],
    );
    assert.equal(await text(page, "plane-text"), "sample 1");
  });
});
