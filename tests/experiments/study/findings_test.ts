import assert from "node:assert/strict";
import { join } from "node:path";
import { type Plan, readPlan } from "../../../experiments/study/plan.ts";
import { qualityFigure } from "../../../experiments/study/chart.ts";
import { conclude, formatMean, metricsOf, tablesOf } from "../../../experiments/study/findings.ts";
import { meanOverSeeds } from "../../../experiments/study/seed_means.ts";
import { testInFolder } from "../../folder.ts";
import {
  goldenTable,
  judgedTwice,
  type MadeUpSetup,
  plan,
  summaryOf,
  twoNetworks,
  writeMadeUpResults,
  writeMadeUpStudy,
} from "./made_up_study.ts";

function concluded(setups: readonly MadeUpSetup[], of: Plan = plan) {
  const { headline, details } = conclude({ plan: of, count: 1500 }, summaryOf(setups));
  const items = (topic: string) =>
    details.flatMap((each) => typeof each !== "string" && each.heading.includes(topic) ? each.items : []);
  return { headline, details, differs: items("what differs"), inconclusive: items("inconclusive") };
}

const unfinished = twoNetworks.map((setup) => ({ ...setup, frechet: [undefined, undefined] }));

Deno.test("conclude() states the size, interval and cost of a difference, and what is inconclusive", () => {
  const [base, residual] = twoNetworks;
  const clear = concluded([residual, base]); // golden_table.txt has the reverse
  // python3 -c "from scipy import stats as s; print(s.ttest_rel([14.1, 15.4, 13], [24, 25.1, 23.9]).confidence_interval())"
  const cost = "at 0.25 times the parameters and 0.22 times the arithmetic";
  assert.deepEqual(clear.differs, [`base against residual: higher by 10.2 (8.6 to 11.8, 3 seeds), ${cost}`]);
  assert.deepEqual([clear.details.length, clear.inconclusive], [2, []], "no passage is empty");
  assert.match(
    clear.headline,
    / 6 of 6 runs finished\. Fréchet distance \(lenet\): 1 difference, 0 inconclusive\.$/,
  );

  const open = concluded([base, { ...base, settings: { model: "residual" }, frechet: [26, 23, 24.5] }]);
  // python3 -c "from scipy import stats as s; print(s.ttest_rel([26, 23, 24.5], [24, 25.1, 23.9]).confidence_interval())"
  assert.deepEqual([open.differs, open.inconclusive], [[], ["residual against base: −5.0 to 5.3"]]);
  assert.match(
    open.headline,
    / runs finished\. Fréchet distance \(lenet\): 0 differences, 1 inconclusive\.$/,
  );

  const one = concluded(judgedTwice.map((setup) => ({ ...setup, frechet: setup.frechet.slice(0, 1) })));
  assert.match(one.headline, / 2 of 2 runs finished\. Nothing can be concluded from one seed: /);
  assert.deepEqual([one.differs, one.details.length], [[], 3], "the judges' order is not compared");
  assert.match(one.inconclusive[0], /^residual against base: one seed, no interval, at 4 times /);

  const lacking = concluded([base, { ...residual, frechet: [undefined, 15.4, 13] }]);
  const preliminary = "2 setups, 5 of 6 runs finished. Preliminary: residual has 2 of 3 runs.";
  assert.ok(lacking.headline.startsWith(`Study networks: ${preliminary}`), lacking.headline);
  assert.match(lacking.differs[0], /^residual against base: lower by 10\.3 \(2\.7 to 17\.9, 2 seeds\)/);
  const none = concluded(unfinished);
  assert.match(none.headline, / 0 of 4 runs finished\./);
  assert.equal(none.details.length, 1);
});

Deno.test("conclude() says what was held fixed, what was compared by, and what cannot be compared", () => {
  const evaluation = { solver: "heun:steps=8", guidance: 1 };
  const more = {
    ...plan,
    fixed: { batchSize: 8, attn: false },
    grid: { model: ["base", "residual"] },
    steps: 1,
  };
  const { details } = concluded(twoNetworks, readPlan({ ...more, evaluation }, "a test"));
  const held = "preset quick, MNIST, batchSize 8, no attn, 1 step of training (32,000 images), 1,500 samples";
  assert.equal(details.at(-1), `Held fixed: ${held} by heun:steps=8 at guidance 1.`);
  const few = concluded(twoNetworks.map((setup) => ({ ...setup, more: () => ({ figures: { kernel: 1 } }) })));
  assert.match(`${few.details[0]}`, /^Compared by kernel distance: there are too few test images for /);
  const varied = ["a", "b"].map((data) => ({
    settings: { data },
    frechet: [1, 2],
    more: () => ({ dataset: { name: data, digest: data } }),
  }));
  const [losses, data, fixed] = concluded(varied).details;
  assert.match(`${losses}`, /^Losses of these runs are not comparable \(different data sets: a, b/);
  assert.equal(data, "Setups with different data are not compared.");
  assert.doesNotMatch(`${fixed}`, /MNIST/);
});

Deno.test("conclude() names relative costs of 5 % and more, and the tables name all", () => {
  const [base] = twoNetworks;
  const cases: [parameters: number, multiplyAdds: number, words: string][] = [
    [1040, 48_000, ""],
    [1200, 45_000, ", at 1.2 times the parameters and 0.9 times the arithmetic"],
    [1400, 50_000, ", at 1.4 times the parameters"],
    [700, 50_000, ", at 0.7 times the parameters"],
  ];
  for (const [parameters, multiplyAdds, words] of cases) {
    const other = { settings: { model: "residual" }, frechet: [14.1, 15.4, 13], parameters, multiplyAdds };
    const [sentence] = concluded([base, other]).differs;
    assert.equal(sentence.replace(/^.*seeds\)/, ""), words);
    const [head, row] = rowsOf([base, other], /^Differences/).map((cells) => cells.split(" | "));
    assert.deepEqual(head.slice(-4), ["× parameters", "× multiply-adds", "× images", "× seconds"]);
    const ratios = [parameters / 1000, multiplyAdds / 50_000, 1, 1].map((ratio) => ratio.toFixed(2));
    assert.deepEqual(row.slice(-4), ratios);
  }
});

/** A setup sampled by Heun's method; fewer evaluations are worse. */
const sampled = (coupling: string, least: number): MadeUpSetup => ({
  settings: { coupling },
  frechet: [least, least + 1, least + 2],
  more: (_, frechet) => ({
    solvers: [32, 1].map((steps) => ({
      spec: `heun:steps=${steps}`,
      evaluations: 2 * steps,
      figures: { frechet: frechet + 60 / steps, "vgg/frechet": 2 * frechet, confident: 0.9 - 0.3 / steps },
    })),
  }),
});

const rowsOf = (setups: readonly MadeUpSetup[], title: RegExp) =>
  tablesOf(summaryOf(setups)).filter((table) => title.test(table.title))
    .flatMap(({ head, rows }) => [head, ...rows]).map((cells) => cells.join(" | "));

Deno.test("tablesOf() has the quality of each setup by solver, cheapest first, and no empty table", () => {
  const figures = "Fréchet distance (lenet) | Fréchet distance (vgg) | Confident (lenet)";
  const [few, many] = ["60 % (60 % to 60 %)", "89.06 % (89.06 % to 89.06 %)"];
  const [independent, ot] = ["42.0 (37.0 to 47.0)", "22.0 (17.0 to 27.0)"];
  assert.deepEqual(rowsOf([sampled("independent", 20), sampled("ot", 10)], /evaluations/), [
    `setup | solver | evaluations | ${figures}`,
    `independent | heun:steps=1 | 2 | 81.0 (78.5 to 83.5) | ${independent} | ${few}`,
    `independent | heun:steps=32 | 64 | 22.9 (20.4 to 25.4) | ${independent} | ${many}`,
    `ot | heun:steps=1 | 2 | 71.0 (68.5 to 73.5) | ${ot} | ${few}`,
    `ot | heun:steps=32 | 64 | 12.9 (10.4 to 15.4) | ${ot} | ${many}`,
  ]);
  assert.deepEqual(rowsOf(twoNetworks, /evaluations/), []);
  assert.equal(rowsOf(unfinished, /^Setups/)[1], "base |  |  |  |  | 0 of 2");
});

Deno.test("formatMean() shows only digits that the interval supports", () => {
  const of = (...values: number[]) => meanOverSeeds(new Map(values.map((value, i) => [i, value])));
  const cases: [Parameters<typeof formatMean>[0], number[], string][] = [
    ["frechet", [20.1, 22.4, 19], "20.5 (16.2 to 24.8)"],
    ["frechet", [201, 224, 190], "205 (162 to 248)"],
    ["frechet", [7, 7], "7 (7 to 7)"],
    ["frechet", [1234.5], "1235"],
    ["frechet", [], ""],
    ["confident", [0.977, 0.979, 0.98], "97.87 % (97.49 % to 98.25 %)"],
    ["confident", [0.1, 0.1, 0.1], "10 % (10 % to 10 %)"],
    ["velocity_error", [-0.01, -0.02], "−0.015 (−0.079 to 0.049)"],
    ["velocity_error", [0.123456], "0.1235"],
    ["velocity_error", [-0.004, 0.2, 0.001], "0.07 (−0.22 to 0.35)"],
  ];
  for (const [key, values, text] of cases) assert.equal(formatMean(key, of(...values)), text);
});

Deno.test("metricsOf() has the means of all setups and the ends of their intervals", () => {
  const metrics = metricsOf(summaryOf(twoNetworks));
  const ends = ["base", "base_low"].map((name) => metrics[`eval/frechet/${name}`].toFixed(2));
  assert.deepEqual(ends, ["24.33", "22.68"]);
  assert.ok("eval/velocity_error/residual_high" in metrics);
  const labelled = { settings: { attn: false, filters: "8,16" }, frechet: [1] };
  assert.ok("eval/frechet/no_attn_8_16" in metricsOf(summaryOf([labelled, twoNetworks[0]])));
});

const figureOf = (setups: readonly MadeUpSetup[]) => qualityFigure(summaryOf(setups))!;
const titlesOf = (setups: readonly MadeUpSetup[], axis: "x" | "y") =>
  Object.entries(figureOf(setups).layout).flatMap(([name, of]) =>
    name.startsWith(`${axis}axis`) ? [Object(of).title.text as string] : []
  );

Deno.test("qualityFigure() draws means and intervals against the costs that differ", () => {
  assert.deepEqual(titlesOf(twoNetworks, "x"), ["parameters"], "images and seconds are the same");
  const more = (seed: number) => ({ costs: { images: 1000, seconds: 60 + seed } });
  const costly = [twoNetworks[0], { ...twoNetworks[1], more }];
  assert.deepEqual(titlesOf(costly, "x"), ["parameters", "images trained on", "seconds of training"]);
  assert.equal(figureOf(twoNetworks.slice(0, 1)), undefined, "a single point needs no figure");
  const judges = ["lenet", "vgg"].map((judge) => `Fréchet distance (${judge}): lower is better`);
  assert.deepEqual(titlesOf(judgedTwice, "y"), judges);
  const { data, layout } = figureOf(costly);
  assert.deepEqual(layout.grid, { rows: 1, columns: 3, pattern: "independent" });
  const axes = ["x", "x2", "x3"].flatMap((axis, n) =>
    ["base", "residual"].map((name) => [name, axis, n === 0])
  );
  assert.deepEqual(data.map(({ name, xaxis, showlegend }) => [name, xaxis, showlegend]), axes);
  const [base, , , { x, y, marker, error_y }] = data;
  assert.deepEqual([Object(base.marker).symbol, Object(marker).symbol], ["circle", "square"]);
  assert.deepEqual([x, Number(y![0]).toFixed(2)], [[1000], "14.17"]);
  assert.deepEqual(["array", "arrayminus"].map((end) => Object(error_y)[end][0].toFixed(1)), ["3.0", "3.0"]);
  assert.deepEqual([layout.shapes, Object(layout.xaxis).type], [[], undefined]);
});

Deno.test("qualityFigure() shows real images, decades, and quality during training", () => {
  const of = (more: MadeUpSetup["more"], parameters = 4000) =>
    figureOf(twoNetworks.map((setup, i) => ({ ...setup, more: more!, ...i && { parameters } })));
  const { layout } = of((seed) => ({ real: { frechet: 4 + seed / 2 } }), 10_000);
  const [{ y0, yref, label }] = layout.shapes as { y0: number; yref: string; label: { text: string } }[];
  assert.deepEqual([y0, yref, label.text], [5, "y", "real images: 5"]);
  assert.equal(Object(layout.xaxis).type, "log");
  const milestones = (seed: number) =>
    [250, 500].map((step) => ({ step, figures: { frechet: 9000 / step + seed } }));
  const { data } = of((seed) => ({ milestones: milestones(seed), figures: { frechet: seed } }));
  const during = data.map(({ mode, x, y, xaxis }) => [xaxis, mode, x, y]);
  assert.deepEqual(during.slice(-4).filter((_, i) => i % 2 === 0), [
    ["x2", "lines+markers", [8000, 16_000, 32_000], [38, 20, 2]],
    ["x3", "lines+markers", [15.25, 30.5, 61], [38, 20, 2]],
  ]);
  assert.deepEqual(during[0].slice(0, 2), ["x", "markers"], "parameters do not grow");
});

const namesIn = async (folder: string) => {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return names.filter((name) => !["cells", "study.json"].includes(name)).sort().join();
};

testInFolder("writeResults() writes a page, a text and a list of cells", async (folder) => {
  const { conclusion } = await writeMadeUpResults(await writeMadeUpStudy(folder, judgedTwice));
  assert.equal(await namesIn(folder), "study.csv,study.html,study.md");
  const table = await Deno.readTextFile(join(folder, "study.md"));
  assert.equal(table, await Deno.readTextFile(goldenTable));
  assert.ok(table.startsWith(`# Study networks\n\n${conclusion}\n\n## Setups`));
  const [head, first, ...lines] = (await Deno.readTextFile(join(folder, "study.csv"))).trimEnd().split("\n");
  assert.match(
    head,
    /^cell,seed,model,parameters,multiply_adds,images,seconds,confident,frechet,vgg\/frechet,/,
  );
  assert.match(first, /^base-s1,1,base,1000,50000,32000,60,0\.66,24,26,/);
  assert.equal(lines.length, 5);
  const page = await Deno.readTextFile(join(folder, "study.html"));
  const order = [
    "<h1>Study networks</h1>",
    "6 of 6 runs finished.",
    'id="figure-1"',
    "<table",
    "Held fixed: ",
  ];
  const places = order.map((text) => page.indexOf(text));
  assert.ok(places.every((place, i) => place > (places[i - 1] ?? 0)), `${places}`);
});

testInFolder("study.csv quotes values with commas, quotes and line breaks", async (folder) => {
  const settings = [{ filters: "8,16", data: "plain" }, { filters: "8", data: 'a "b"' }, {
    filters: "8",
    data: "a\nb",
  }];
  const study = await writeMadeUpStudy(folder, settings.map((settings) => ({ settings, frechet: [1] })));
  await writeMadeUpResults(study);
  const text = await Deno.readTextFile(join(folder, "study.csv"));
  const cells = [',"8,16",plain,1000,', ',8,"a ""b""",1000,', ',8,"a\nb",1000,'];
  for (const cell of cells) assert.ok(text.includes(cell), text);
});

testInFolder("writeResults() writes tables even if no run is finished", async (folder) => {
  const setups = twoNetworks.map((setup) => ({ ...setup, frechet: [undefined, 20] }));
  const study = await writeMadeUpStudy(folder, setups);
  assert.match((await writeMadeUpResults(study)).conclusion, /2 of 4 runs finished/);
  await Deno.remove(join(folder, "cells"), { recursive: true });
  assert.match((await writeMadeUpResults(study)).conclusion, /0 of 4 runs finished/);
  assert.equal(await namesIn(folder), "study.csv,study.html,study.md");
});
