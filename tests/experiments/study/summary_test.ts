import assert from "node:assert/strict";
import type { CellSettings } from "../../../experiments/study/plan.ts";
import { meanOverSeeds } from "../../../experiments/study/seed_intervals.ts";
import { sharedSeed, summarizeStudy } from "../../../experiments/study/summary.ts";
import { csvOf, formatFigure, formatMean, tablesOf } from "../../../experiments/study/tables.ts";
import { madeUp, type MadeUpSetup, summaryOf, twoNetworks } from "./made_up_study.ts";

/** The differences between setups as `setting: a | b`, each setup with the settings of the plan and derived ones. */
function differencesAmong(
  complete: CellSettings,
  ...all: (readonly [CellSettings, CellSettings?])[]
): string[] {
  const setups = all.map(([asked, more]) => {
    return { asked, settings: { ...complete, ...asked, ...more }, frechet: [1, 2] };
  });
  return summaryOf(setups).differences.map(({ setting, a, b }) => `${setting}: ${a} | ${b}`);
}

Deno.test("summarizeStudy() compares setups that differ in one choice", () => {
  const usual = { coupling: "independent", times: "logit_normal" };
  const [ot, uniform, stratified] = [{ coupling: "ot" }, { times: "uniform" }, { times: "stratified" }];
  assert.deepEqual(differencesAmong(usual, [{}], [ot], [uniform], [stratified]), [
    "coupling: ot | the preset",
    "times: uniform | the preset",
    "times: stratified | the preset",
    "times: stratified | uniform",
  ]);
  assert.deepEqual(differencesAmong({}, [{ groups: 1, share: 0.5 }], [{ groups: 2, share: 1 }]), []);
  // A network without normalisation has the default groups, regardless of what the plan fixes.
  const networks = differencesAmong({ groups: 4 }, [{ model: "base" }, { groups: 8 }], [{
    model: "residual",
  }]);
  assert.deepEqual(networks, ["model: residual | base"]);
});

Deno.test("summarizeStudy() compares widths and shares of the budget only with the next one", () => {
  const { differences } = summaryOf(
    [["8,16", 1000], ["24,48", 9000], ["16,32", 4000]].flatMap(([filters, parameters]) =>
      [0.25, 1, 0.5].map((share) => ({
        settings: { filters, share },
        frechet: [1],
        parameters: Number(parameters),
      }))
    ),
  );
  const pairs = differences.map(({ a, b }) => [a, b].sort().join(" | "));
  const expected = ["0.25", "0.5", "1"].flatMap((share) => [
    `[16,32], share ${share} | [8,16], share ${share}`,
    `[16,32], share ${share} | [24,48], share ${share}`,
  ]);
  for (const widths of ["[8,16]", "[16,32]", "[24,48]"]) {
    expected.push(
      `${widths}, share 0.25 | ${widths}, share 0.5`,
      `${widths}, share 0.5 | ${widths}, share 1`,
    );
  }
  assert.deepEqual(pairs.sort(), expected.sort());
});

Deno.test("summarizeStudy() compares a matched network with the network it matches", () => {
  const differences = differencesAmong(
    { filters: "16,32,64", match: "none" },
    [{ model: "base", attn: false }],
    [{ model: "residual", attn: false }],
    [{ model: "residual", attn: true }],
    [{ model: "base", attn: false, match: "parameters" }, { filters: "30,60,120" }],
    [{ model: "base", attn: true, match: "parameters" }, { filters: "32,64,128" }],
    [{ model: "base", attn: false, match: "time" }, { filters: "24,48,96" }],
  );
  assert.deepEqual(differences, [
    "model: residual, no attn | base, no attn",
    "attn: residual, attn | residual, no attn",
    "model: base, no attn, equal parameters | residual, no attn",
    "model: base, attn, equal parameters | residual, attn",
    "attn: base, attn, equal parameters | base, no attn, equal parameters",
    "model: base, no attn, equal time | residual, no attn",
  ]);
});

Deno.test("summarizeStudy() combines the seeds of a setup, and numbers setups with equal labels", () => {
  const { cells, results } = madeUp([{ settings: { a: 1, b: true }, frechet: [1, undefined] }]);
  const [{ id, ...cell }] = cells;
  const reordered = { ...cell, id: `${id}-more`, seed: 9, settings: { b: true, a: 1 } };
  const odd = { ...cell, id: "odd", settings: { a: 2, b: true } }; // of a damaged study
  const { setups } = summarizeStudy([...cells, reordered, odd], results);
  assert.deepEqual(setups.map(({ label, seeds }) => [label, seeds.planned, seeds.finished]), [
    ["the preset", 3, 1],
    ["the preset (2)", 1, 0],
  ]);
});

Deno.test("summarizeStudy() keeps the intervals of shares within 0 and 1", () => {
  const more = (seed: number) => ({ figures: { confident: [0.97, 0.99, 0.998][seed - 1] } });
  const [{ figures }] = summaryOf([{ settings: {}, frechet: [1, 1, 1], more }]).setups;
  assert.equal(figures.confident!.interval![1], 1);
});

Deno.test("sharedSeed() is the first of the seeds with the most finished runs", () => {
  const seedOf = (...all: (number | undefined)[][]) =>
    sharedSeed(summaryOf(all.map((frechet, groups) => ({ settings: { groups }, frechet }))).setups);
  assert.equal(seedOf([1, 2], [1, 2]), 1);
  assert.equal(seedOf([1, 2], [undefined, 2]), 2);
  assert.equal(seedOf([undefined], [undefined]), undefined);
});

/** A setup sampled by Heun's method, two evaluations per step; fewer evaluations are worse. */
const sampled = (coupling: string, least: number): MadeUpSetup => ({
  settings: { coupling },
  frechet: [least, least + 1, least + 2],
  more: (_, frechet) => ({
    costs: [32, 1, 4].map((steps) => ({
      solver: `heun:steps=${steps}`,
      evaluations: 2 * steps,
      frechet: frechet + 60 / steps,
      "vgg/frechet": 2 * frechet,
      "vgg/confident": 0.5,
      confident: 0.9 - 0.3 / steps,
    })),
  }),
});

const rowsOf = (setups: readonly MadeUpSetup[], title: RegExp) =>
  tablesOf(summaryOf(setups)).filter((table) => title.test(table.title)).map((
    { head, rows },
  ) => [head, ...rows]);

Deno.test("tablesOf() has the Fréchet distance of each setup by evaluations, cheapest first", () => {
  const [table, second] = rowsOf([sampled("independent", 20), sampled("ot", 10)], /evaluations/);
  assert.deepEqual(table, [
    ["setup", "2 (heun:steps=1)", "8 (heun:steps=4)", "64 (heun:steps=32)"],
    ["independent", "81.0 (78.5 to 83.5)", "36.0 (33.5 to 38.5)", "22.9 (20.4 to 25.4)"],
    ["ot", "71.0 (68.5 to 73.5)", "26.0 (23.5 to 28.5)", "12.9 (10.4 to 15.4)"],
  ]);
  assert.deepEqual(second.slice(1).map((row) => row[1]), ["42.0 (37.0 to 47.0)", "22.0 (17.0 to 27.0)"]);
  const [single] = rowsOf([sampled("ot", 10)], /evaluations/);
  const titles = [
    "Fréchet distance (lenet)",
    "Fréchet distance (vgg)",
    "Confident (lenet)",
    "Confident (vgg)",
  ];
  assert.deepEqual(single[0], ["evaluations", ...titles]);
  const cells = ["71.0 (68.5 to 73.5)", "22.0 (17.0 to 27.0)", "60 % (60 % to 60 %)", "50 % (50 % to 50 %)"];
  assert.deepEqual(single[1], ["2 (heun:steps=1)", ...cells]);
});

Deno.test("tablesOf() omits empty tables and cells", () => {
  assert.deepEqual(rowsOf(twoNetworks, /evaluations|time/), []);
  const [unfinished] = rowsOf(
    twoNetworks.map((setup) => ({ ...setup, frechet: [undefined, undefined] })),
    /^Setups/,
  );
  assert.deepEqual(unfinished[1], ["base", "1,000", "0.05 M", "", "", "0 of 2"]);
  const [one] = rowsOf(twoNetworks.map((setup) => ({ ...setup, frechet: [24.5] })), /^Differences/);
  assert.equal(one[1][1], "0", "one seed has no interval");
});

Deno.test("csvOf() has one line per figure of setups, solvers and differences", () => {
  const lines = csvOf(
    summaryOf([sampled("independent", 20), { ...sampled("ot", 10), settings: { coupling: 'a,"b' } }]),
  )
    .trimEnd().split("\n");
  const starts = lines.map((line) => line.split(",").slice(0, 4).join(","));
  for (const start of ["independent,,frechet,1 2 3", "independent,,vgg/frechet by heun:steps=4,1 2 3"]) {
    assert.ok(starts.includes(start), starts.join("\n"));
  }
  assert.ok(
    lines.some((line) =>
      line.startsWith('"a,""b",independent,frechet,1 2 3,-10,0,-10,-10,-10,-10,-10 -10 -10')
    ),
  );
});

Deno.test("formatMean() shows only digits that the interval supports", () => {
  const of = (...values: number[]) => meanOverSeeds(new Map(values.map((value, i) => [i, value])));
  assert.equal(formatMean("frechet", of(20.1, 22.4, 19)), "20.5 (16.2 to 24.8)");
  assert.equal(formatMean("frechet", of(201, 224, 190)), "205 (162 to 248)");
  assert.equal(formatMean("confident", of(0.977, 0.979, 0.98)), "97.87 % (97.49 % to 98.25 %)");
  assert.equal(formatMean("velocity_error", of(-0.01, -0.02)), "\u22120.015 (\u22120.079 to 0.049)");
  assert.equal(formatMean("velocity_error", of(0.123456)), "0.1235");
  assert.equal(formatMean("frechet", of(7, 7)), "7 (7 to 7)", "an interval of width 0");
  assert.equal(formatMean("confident", of(0.1, 0.1, 0.1)), "10 % (10 % to 10 %)", "a rounded width");
  assert.equal(formatMean("frechet", undefined), "");
  assert.equal(formatFigure("frechet", 1234.5), "1235");
  assert.equal(formatFigure("confident", -0.004, 0.2), "0 %", "no minus sign before 0");
});
