/// <reference lib="dom" />
/** How good the networks are, as a reader sees it. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { intervalAxis } from "../../../viz/report/interval_axis.ts";
import { testInBrowser } from "../../browser.ts";
import { hostile, quality, run } from "./made_up.ts";
import { fromFile, see, text } from "./opened.ts";

const shown = (value: number) => String(value);
const [share, distance] = quality().figures;

/** x of the elements of a class or kind, in order. */
function places(svg: string, pattern: RegExp): number[] {
  return [...svg.matchAll(pattern)].map(([, x]) => Number(x));
}

Deno.test("intervalAxis() puts values, intervals, real images and noise in their order on one axis", () => {
  const { text } = intervalAxis([{ run: 0, figure: share }], shown);
  const [value] = places(text, /cx="([\d.]+)"/g);
  const [low] = places(text, /x1="([\d.]+)"[^>]*class="interval"/g);
  const [real] = places(text, /x1="([\d.]+)"[^>]*class="reference real"/g);
  const [noise] = places(text, /x1="([\d.]+)"[^>]*class="reference noise"/g);
  assert.ok(noise < low && low < value && value < real, `${[noise, low, value, real]}`);
  assert.ok(!text.includes("log scale"));
});

Deno.test("intervalAxis() is logarithmic where values differ by more than a factor of 30", () => {
  const { text } = intervalAxis([{ run: 0, figure: distance }], shown);
  assert.ok(text.includes("log scale"));
  const [real] = places(text, /x1="([\d.]+)"[^>]*class="reference real"/g);
  const [noise] = places(text, /x1="([\d.]+)"[^>]*class="reference noise"/g);
  const [value] = places(text, /cx="([\d.]+)"/g);
  const expected = real + (noise - real) * Math.log(6.2 / 1.5) / Math.log(963 / 1.5);
  assert.ok(Math.abs(value - expected) < 0.1, `${value}, expected ${expected}`);
});

Deno.test("intervalAxis() with one value alone puts it in the middle", () => {
  const { text } = intervalAxis([{
    run: 0,
    figure: { title: "a", meaning: "b", better: "real", value: 2, low: 2, high: 2, cost: "" },
  }], shown);
  assert.deepEqual(places(text, /cx="([\d.]+)"/g), [130]);
});

Deno.test("reportHtml() shows how good runs are, each figure once with the runs on one axis", () => {
  const better = quality({ figures: [{ ...share, value: 0.95 }], how: hostile });
  const page = reportHtml({ runs: [run("a", { quality: quality() }), run("b", { quality: better })] });
  const section = page.slice(page.indexOf('<section id="quality"'), page.indexOf('id="flow"'));
  assert.equal(section.split('<th scope="row">Recognised<br>').length, 2);
  assert.equal(section.split("<circle").length, 4, "two runs, then one");
  assert.ok(section.includes("90.0 %") && section.includes("95.0 %"));
  assert.ok(!section.includes("<img src=x"), "a tag of a user stands in the page");
  assert.equal(section.match(/<img /g)?.length, 8, "four samples of each run");
  assert.ok(!reportHtml({ runs: [run("a")] }).includes('id="quality"'), "no run was evaluated");
});

await testInBrowser("a report shows figures of quality and the course over t", async (browser) => {
  const page = reportHtml({ runs: [run("a", { quality: quality() }), run("b")] });
  await fromFile(browser, page, {}, async (page) => {
    await see(page, "quality-straightness");
    await see(page, "quality-curvature");
    assert.match(await text(page, "quality"), /Fréchet distance[\s\S]*low is good[\s\S]*6\.2/);
    const drawn = await page.evaluate(() =>
      (document.getElementById("quality-curvature") as unknown as { data: { y: number[] }[] }).data.map(
        ({ y }) => [...y],
      )
    );
    assert.deepEqual(drawn, [[0.9, 0.2], []]);
  });
});
