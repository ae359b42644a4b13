/// <reference lib="dom" />
/** What a study found, above the report of its runs, and its figure as a page of its own. */

import assert from "node:assert/strict";
import { figure } from "../../../viz/mod.ts";
import { figurePage, type Passage, reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { hostile, two } from "./made_up.ts";
import { fromFile, moveTo, see, text } from "./opened.ts";

const [first, second] = two.runs;
const runs = [first, { ...first, name: "a run that is not compared" }, second];
const line = figure([{ x: [1, 2], y: [3, 4], name: "residual" }], { xTitle: "images" });
const passages: [string, Exclude<Passage, string>] = [
  `The residual network is better. ${hostile}`,
  { heading: "Differences", items: ["one", hostile] },
];
const study = {
  title: `Study ${hostile}`,
  passages,
  figure: { svg: line.svg, text: "Quality against images" },
  tables: [
    { title: "Setups", head: ["setup", "Fréchet distance"], rows: [["residual", "14.2 (11.2 to 17.2)"]] },
    { title: "Differences", head: ["difference"], rows: [[hostile]] },
  ],
};

await testInBrowser(
  "reportHtml() shows what a study found, and compares some of its runs",
  async (browser) => {
    const report = reportHtml({ runs, comparison: { ...two.comparison!, runs: [0, 2] }, study });
    await fromFile(browser, report, {}, async (page) => {
      assert.equal(await page.locator("h1").innerText(), study.title);
      const [paragraph, list] = study.passages;
      const shown = await page.locator("main").innerText();
      for (const text of [paragraph, `${list.heading}:`]) assert.ok(shown.includes(text), text);
      assert.deepEqual(await page.locator(".study li").allInnerTexts(), list.items);
      assert.ok(await page.locator("td", { hasText: "14.2 (11.2 to 17.2)" }).isVisible());
      const drawn = await page.locator("img.wide").evaluate((image) =>
        (image as HTMLImageElement).naturalWidth
      );
      assert.equal(drawn, 700);
      const names = await page.locator("#compare-b option").allInnerTexts();
      assert.deepEqual(names, [first.name, second.name]);
      await see(page, "difference-chart");
      await moveTo(page, 60);
      assert.match(await text(page, "compare-text"), /^points at t = 0.50; .* 0.250$/);
      assert.deepEqual(
        await page.locator("#explorer-run option").allInnerTexts(),
        runs.map(({ name }) => name),
      );
    });
  },
);

await testInBrowser("figurePage() draws figures from a file alone", async (browser) => {
  const note = `Intervals over seeds ${hostile}`;
  const page = figurePage({
    title: hostile,
    passages: [hostile],
    figures: [line.plotly, line.plotly],
    note,
  });
  await fromFile(browser, page, {}, async (page) => {
    assert.equal(await page.title(), hostile);
    assert.equal(await page.locator(".note").innerText(), note);
    assert.equal(await page.locator(".js-plotly-plot").count(), 2);
    const names = await page.locator("#figure-1 .xtitle").allTextContents();
    assert.deepEqual(names, ["images"]);
  });
});
