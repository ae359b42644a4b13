import assert from "node:assert/strict";
import { meanOverSeeds } from "../../../../experiments/study/results/seed_intervals.ts";
import { csvOf, figureInWords, meanInWords, tablesOf } from "../../../../experiments/study/results/tables.ts";
import { type MadeUpSetup, summaryOf, twoNetworks } from "./made_up_study.ts";

/** Setups sampled by Heun's method with two evaluations a step; the fewer, the worse. */
const sampled = (coupling: string, least: number): MadeUpSetup => ({
  settings: { coupling },
  frechet: [least, least + 1, least + 2],
  more: (_, frechet) => ({
    costs: [32, 1, 4].map((steps) => ({
      solver: `heun:steps=${steps}`,
      evaluations: 2 * steps,
      frechet: frechet + 60 / steps,
      recognised: 0.9 - 0.3 / steps,
    })),
  }),
});

const rowsOf = (setups: readonly MadeUpSetup[], title: RegExp) =>
  tablesOf(summaryOf(setups)).filter((table) => title.test(table.title)).map((
    { head, rows },
  ) => [head, ...rows]);

Deno.test("tablesOf() has the Fréchet distance of each setup by evaluations, cheapest first", () => {
  const [table] = rowsOf([sampled("independent", 20), sampled("ot", 10)], /evaluations/);
  assert.deepEqual(table, [
    ["setup", "2 (heun:steps=1)", "8 (heun:steps=4)", "64 (heun:steps=32)"],
    ["independent", "81.0 (78.5 to 83.5)", "36.0 (33.5 to 38.5)", "22.9 (20.4 to 25.4)"],
    ["ot", "71.0 (68.5 to 73.5)", "26.0 (23.5 to 28.5)", "12.9 (10.4 to 15.4)"],
  ]);
  const [single] = rowsOf([sampled("ot", 10)], /evaluations/);
  assert.deepEqual(single[0], ["evaluations", "the preset", "Recognised"]);
  assert.deepEqual(single[1], ["2 (heun:steps=1)", "71.0 (68.5 to 73.5)", "60 % (60 % to 60 %)"]);
});

Deno.test("tablesOf() leaves out what there is nothing of", () => {
  assert.deepEqual(rowsOf(twoNetworks, /evaluations|time/), []);
  const [unfinished] = rowsOf(
    twoNetworks.map((setup) => ({ ...setup, frechet: [undefined, undefined] })),
    /^Setups/,
  );
  assert.deepEqual(unfinished[1], ["base", "1,000", "0.05 M", "", "", "0 of 2"]);
  const [one] = rowsOf(twoNetworks.map((setup) => ({ ...setup, frechet: [24.5] })), /^Differences/);
  assert.equal(one[1][1], "0", "no interval of one seed");
});

Deno.test("csvOf() has a line for each figure of setups, solvers and differences", () => {
  const lines = csvOf(
    summaryOf([sampled("independent", 20), { ...sampled("ot", 10), settings: { coupling: 'a,"b' } }]),
  )
    .trimEnd().split("\n");
  const starts = lines.map((line) => line.split(",").slice(0, 4).join(","));
  for (const start of ["independent,,frechet,1 2 3", "independent,,frechet by heun:steps=4,1 2 3"]) {
    assert.ok(starts.includes(start), starts.join("\n"));
  }
  assert.ok(
    lines.some((line) =>
      line.startsWith('"a,""b",independent,frechet,1 2 3,-10,0,-10,-10,-10,-10,-10 -10 -10')
    ),
  );
});

Deno.test("meanInWords() has the digits that the interval is sure of", () => {
  const of = (...values: number[]) => meanOverSeeds(new Map(values.map((value, i) => [i, value])));
  assert.equal(meanInWords("frechet", of(20.1, 22.4, 19)), "20.5 (16.2 to 24.8)");
  assert.equal(meanInWords("frechet", of(201, 224, 190)), "205 (162 to 248)");
  assert.equal(meanInWords("confident", of(0.977, 0.979, 0.98)), "97.87 % (97.49 % to 98.25 %)");
  assert.equal(meanInWords("test_loss", of(-0.01, -0.02)), "\u22120.015 (\u22120.079 to 0.049)");
  assert.equal(meanInWords("test_loss", of(0.123456)), "0.1235");
  assert.equal(meanInWords("frechet", of(7, 7)), "7 (7 to 7)", "an interval without width");
  assert.equal(meanInWords("confident", of(0.1, 0.1, 0.1)), "10 % (10 % to 10 %)", "nor with a rounded one");
  assert.equal(meanInWords("frechet", undefined), "");
  assert.equal(figureInWords("frechet", 1234.5), "1235");
  assert.equal(figureInWords("confident", -0.004, 0.2), "0 %", "no minus sign before nothing");
});
