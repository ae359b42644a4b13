/// <reference lib="dom" />
/** Quality of the networks in a report. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { intervalAxis } from "../../../viz/report/interval_axis.ts";
import { hostile, quality, run } from "./made_up.ts";
import { see, testReport, text, tracesOf } from "./opened.ts";

const shown = (value: number) => String(value);
const [share, distance] = quality().figures;

/** x of the elements that match, in order. */
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

Deno.test("intervalAxis() is logarithmic if values differ by more than a factor of 30", () => {
  const { text } = intervalAxis([{ run: 0, figure: distance }], shown);
  assert.ok(text.includes("log scale"));
  const [real] = places(text, /x1="([\d.]+)"[^>]*class="reference real"/g);
  const [noise] = places(text, /x1="([\d.]+)"[^>]*class="reference noise"/g);
  const [value] = places(text, /cx="([\d.]+)"/g);
  const expected = real + (noise - real) * Math.log(6.2 / 1.5) / Math.log(963 / 1.5);
  assert.ok(Math.abs(value - expected) < 0.1, `${value}, expected ${expected}`);
});

Deno.test("intervalAxis() marks real images and noise for each run", () => {
  const other = { ...share, real: 0.9, noise: 0.05 };
  const { text } = intervalAxis([{ run: 0, figure: share }, { run: 1, figure: other }], shown);
  const marks = [...text.matchAll(
    /x1="([\d.]+)"[^>]*y1="([\d.]+)" y2="([\d.]+)" class="reference (\w+)"><title>([^<]*)/g,
  )].map(([, x, y1, y2, name, title]) => ({ x: Number(x), y: (Number(y1) + Number(y2)) / 2, name, title }));
  assert.deepEqual(marks.map(({ title }) => title), [
    "real images: 0.98",
    "noise: 0.01",
    "real images: 0.9",
    "noise: 0.05",
  ]);
  const [, , real, noise] = marks;
  assert.ok(real.x < marks[0].x && noise.x > marks[1].x, "at their own values");
  const rows = places(text, /cy="([\d.]+)"/g);
  assert.deepEqual(marks.map(({ y }) => y), [rows[0], rows[0], rows[1], rows[1]]);
  assert.ok(text.includes('aria-label="0.9, 0.9; real images 0.98, 0.9; noise 0.01, 0.05"'), text);
});

Deno.test("intervalAxis() puts a single value in the middle", () => {
  const { text } = intervalAxis([{
    run: 0,
    figure: { title: "a", meaning: "b", better: "real", value: 2, low: 2, high: 2, cost: "" },
  }], shown);
  assert.deepEqual(places(text, /cx="([\d.]+)"/g), [130]);
});

Deno.test("reportHtml() shows each quality figure once, with all runs on one axis", () => {
  const better = quality({ figures: [{ ...share, value: 0.95 }], how: hostile });
  const page = reportHtml({ runs: [run("a", { quality: quality() }), run("b", { quality: better })] });
  const section = page.slice(page.indexOf('<section id="quality"'), page.indexOf('id="flow"'));
  assert.equal(section.split('<th scope="row">Recognised<br>').length, 2);
  assert.equal(section.split("<circle").length, 4, "two runs, then one");
  assert.ok(section.includes("90.0 %") && section.includes("95.0 %"));
  assert.ok(!section.includes("<img src=x"), "a user's tag is not escaped");
  assert.equal(section.match(/<img /g)?.length, 8, "four samples of each run");
  assert.ok(!reportHtml({ runs: [run("a")] }).includes('id="quality"'), "no run was evaluated");
});

await testReport(
  "reportHtml() shows figures of quality, and straightness and curvature over t",
  reportHtml({ runs: [run("a", { quality: quality() }), run("b")] }),
  async (page) => {
    await see(page, "quality-straightness");
    await see(page, "quality-curvature");
    assert.match(await text(page, "quality"), /Fréchet distance[\s\S]*low is good[\s\S]*6\.2/);
    const drawn = (await tracesOf(page, "quality-curvature")).map(({ y }) => y);
    assert.deepEqual(drawn, [[0.9, 0.2], []]);
  },
);

Deno.test("reportHtml() shows evaluations of solvers exactly", () => {
  const frechet = { value: 6.218, low: 5.1, high: 7.9 };
  const result = { solver: "heun", frechet, confident: 0.9 };
  const solvers = [
    { ...result, words: "heun:steps=617", evaluations: 1234, chosen: true },
    { ...result, words: "dopri5:rtol=1e-6", evaluations: 1357.46, chosen: false },
  ];
  const page = reportHtml({ runs: [run("a", { solvers })] });
  assert.match(page, /: 1234 evaluations, Fréchet distance 6\.22\./);
  assert.ok(page.includes("<td>1357.5</td>"));
});

Deno.test("reportHtml() mentions tables of numbers to screen readers exactly where they exist", () => {
  const page = reportHtml({ runs: [run("a", { quality: quality() })] });
  const places = [...page.matchAll(/<div id="([a-z-]+)" class="chart [^>]*aria-label="([^"]*)"/g)];
  const silent = places.flatMap(([, id, label]) => label.endsWith("; numbers below") ? [] : [id]);
  assert.deepEqual(silent, ["pixel-chart", "plane-chart"]);
  const start = page.indexOf("Numbers of these figures");
  const rows = page.slice(start, page.indexOf("</details>", start));
  assert.ok(rows.includes("<td>0.50</td><td>0.1</td><td>0.2</td>"), "values over t");
});
