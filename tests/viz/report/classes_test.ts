/// <reference lib="dom" />
/** The plane of paths with many classes, and with none. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import type { Theme } from "../../../viz/report/page/charts.ts";
import { classesOf, classMark, noClass } from "../../../viz/report/page/class_marks.ts";
import { testInBrowser } from "../../browser.ts";
import { paths, run } from "./made_up.ts";
import { fromFile, moveTo, type Report, see, text } from "./opened.ts";

const theme = { classes: Array.from({ length: 10 }, (_, c) => `colour ${c}`) } as unknown as Theme;
const markOf = (c: number) => Object.values(classMark(theme, c)).join();

Deno.test("classMark() tells 80 classes apart by colour and shape", () => {
  assert.equal(new Set(Array.from({ length: 80 }, (_, c) => markOf(c))).size, 80);
  assert.deepEqual(classMark(theme, 9), { color: "colour 9", symbol: "circle" });
  assert.notEqual(markOf(19), markOf(9));
  assert.equal(markOf(85), markOf(5), "after them marks repeat");
});

Deno.test("classesOf() are those of all runs", () => {
  assert.deepEqual(classesOf([[12, 3, 12], [300, noClass]]), [noClass, 3, 12, 300]);
});

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
    (document.getElementById("paths-chart") as unknown as PlotData).data
      .filter(({ customdata }) => customdata)
      .map(({ x, name, showlegend, marker }) => ({ count: x.length, name, showlegend, ...marker! }))
  );
}

/** A report of samples of some classes. */
const report = (classes: number[]) => {
  const { real, ...rest } = paths(4, classes.length);
  const ofReal = Array.from({ length: 30 }, (_, n) => classes[n % classes.length]);
  return reportHtml({
    runs: [run("many", { paths: { ...rest, classes, real: { ...real, classes: ofReal } } })],
  });
};

await testInBrowser(
  "reportHtml() shows samples of 26 classes, each with a mark of its own",
  async (browser) => {
    const classes = Array.from({ length: 60 }, (_, n) => n % 26);
    await fromFile(browser, report(classes), {}, async (page) => {
      await see(page, "paths-chart");
      await moveTo(page, 100);
      const points = await pointsOf(page);
      assert.deepEqual(points.map(({ name }) => name), Array.from({ length: 26 }, (_, c) => `${c}`));
      assert.equal(points.reduce((sum, { count }) => sum + count, 0), 60, "no sample vanishes");
      assert.equal(new Set(points.map(({ color, symbol }) => `${color} ${symbol}`)).size, 26);
      assert.ok(points.every(({ showlegend }) => showlegend));
      assert.equal(await text(page, "paths-text"), "sample 1, class 0");
      assert.match(await page.locator("#paths").innerText(), /Colours and shapes are classes/);
    });
  },
);

await testInBrowser("reportHtml() calls classes by their names", async (browser) => {
  const { real, ...rest } = paths(4, 4);
  const named = { ...rest, classes: [0, 1, 1, 2], classNames: ["cat", "<b>owl</b>"], real };
  await fromFile(browser, reportHtml({ runs: [run("named", { paths: named })] }), {}, async (page) => {
    await see(page, "paths-chart");
    assert.deepEqual((await pointsOf(page)).map(({ name }) => name), ["cat", "&lt;b&gt;owl&lt;/b&gt;", "2"]);
    assert.equal(await text(page, "paths-text"), "sample 1, class cat");
  });
});

await testInBrowser("reportHtml() shows classes beyond all marks by their numbers", async (browser) => {
  await fromFile(browser, report([100, 500, 4, 500]), {}, async (page) => {
    await see(page, "paths-chart");
    const points = await pointsOf(page);
    assert.deepEqual(points.map(({ name, count }) => [name, count]), [["4", 1], ["100", 1], ["500", 2]]);
  });
});

await testInBrowser("reportHtml() shows samples without classes", async (browser) => {
  const { classes: _, classifier: __, real: { position }, ...rest } = paths(4, 9);
  const page = reportHtml({ runs: [run("bare", { paths: { ...rest, real: { position } } })] });
  assert.doesNotMatch(page.replace(/<script[\s\S]*?<\/script>/g, ""), /classifier/);
  await fromFile(browser, page, {}, async (page) => {
    await see(page, "paths-chart");
    const points = await pointsOf(page);
    assert.deepEqual(
      points.map(({ name, count, showlegend }) => ({ name, count, showlegend })),
      [{ name: "samples", count: 9, showlegend: false }],
    );
    assert.equal(await text(page, "paths-text"), "sample 1");
  });
});
