import assert from "node:assert/strict";
import type { CellSettings } from "../../../experiments/study/plan.ts";
import {
  excludesZero,
  meanOverSeeds,
  pairedDifference,
  studentQuantile,
} from "../../../experiments/study/seed_means.ts";
import { madeUp, type MadeUpSetup, summaryOf, twoNetworks } from "./made_up_study.ts";

const bySeed = (...values: number[]) => new Map(values.map((value, i) => [i + 1, value]));

function assertNear(actual: number | undefined, expected: number): void {
  assert.ok(Math.abs(actual! - expected) <= 1e-9 * Math.abs(expected), `${actual} is not ${expected}`);
}

Deno.test("studentQuantile() agrees with SciPy", () => {
  // python3 -c "from scipy import stats; print([stats.t.ppf(.975, n) for n in (1, 2, 3, 10, 30)])"
  const quantiles = { 1: 12.706204736174694, 2: 4.302652729749462, 3: 3.1824463052837078 };
  const more = { 10: 2.2281388519649385, 30: 2.0422724563012378 };
  for (const [n, expected] of Object.entries({ ...quantiles, ...more })) {
    assertNear(studentQuantile(Number(n)), expected);
  }
});

Deno.test("meanOverSeeds() agrees with SciPy's interval of a mean, and has none for one seed", () => {
  // python3 -c "from scipy import stats; x = [20.1, 22.4, 19]; print(stats.t.interval(.95, 2, sum(x) / 3, stats.sem(x)))"
  const { mean, interval, seeds, values } = meanOverSeeds(new Map([[3, 19], [1, 20.1], [2, 22.4]]))!;
  assert.deepEqual([seeds, values], [[1, 2, 3], [20.1, 22.4, 19]]);
  assertNear(mean, 20.5);
  assertNear(interval![0], 16.19018214833505);
  assertNear(interval![1], 24.80981785166495);
  assert.deepEqual(meanOverSeeds(new Map([[46020, 3]])), { seeds: [46020], values: [3], mean: 3 });
  assert.equal(meanOverSeeds(new Map()), undefined);
});

Deno.test("pairedDifference() agrees with SciPy's paired t-test over the shared seeds", () => {
  // python3 -c "from scipy import stats; r = stats.ttest_rel([20.1, 22.4, 19], [24, 25.1, 23.9]); print(r.confidence_interval())"
  const three = pairedDifference(bySeed(20.1, 22.4, 19, 7), bySeed(24, 25.1, 23.9))!;
  assert.deepEqual(three.seeds, [1, 2, 3]);
  assertNear(three.interval![0], -6.56964607266109);
  assertNear(three.interval![1], -1.0970205940055768);
  assert.ok(excludesZero(three.interval!));
  // python3 -c "from scipy import stats; r = stats.ttest_rel([20.1, 22.4, 19, 21.2, 20.3], [20, 25.1, 18.9, 20.9, 22.3]); print(r.confidence_interval())"
  const five = pairedDifference(bySeed(20.1, 22.4, 19, 21.2, 20.3), bySeed(20, 25.1, 18.9, 20.9, 22.3))!;
  assertNear(five.interval![0], -2.5818735962660404);
  assertNear(five.interval![1], 0.9018735962660407);
  assert.ok(!excludesZero(five.interval!));
  const order = new Map([[3, 1], [1, 5]]); // pairs are by seed, in whatever order
  assert.deepEqual(pairedDifference(bySeed(6, 0, 3), order)!.values, [1, 2]);
  assert.equal(pairedDifference(bySeed(1, 2), new Map([[7, 1]])), undefined);
});

Deno.test("equal values have no spread, despite rounding", () => {
  const equal = meanOverSeeds(bySeed(0.1, 0.1, 0.1))!; // their sum over 3 is not 0.1
  assert.deepEqual(equal.interval, [equal.mean, equal.mean]);
  // 45 of 170 in both seeds: like 0.7 - 0.1, which is not quite 0.6
  const shares = pairedDifference(bySeed(81 / 170, 84 / 170), bySeed(126 / 170, 129 / 170))!;
  assertNear(shares.interval![0], -45 / 170);
  const none = pairedDifference(bySeed(0.1 + 0.2, 0.1 + 0.2), bySeed(0.3, 0.3))!;
  assert.deepEqual([none.mean, none.interval], [0, [0, 0]]);
});

/** The differences between setups as `a | b`, each setup with the settings of the plan and derived ones. */
function differencesAmong(complete: CellSettings, ...all: (readonly [CellSettings, parameters?: number])[]) {
  const setups = all.map(([asked, parameters = 1000]) => {
    return { asked, settings: { ...complete, ...asked }, frechet: [1, 2], parameters };
  });
  return summaryOf(setups).differences.map(({ a, b }) => `${a} | ${b}`);
}

Deno.test("summarizeStudy() compares setups that differ in one choice, a network with its widths", () => {
  const usual = { coupling: "independent", times: "logit_normal" };
  const own: CellSettings[] = [{}, { coupling: "ot" }, { times: "uniform" }, { times: "stratified" }];
  const pairs = [
    ...["ot", "uniform", "stratified"].map((one) => `${one} | the preset`),
    "stratified | uniform",
  ];
  assert.deepEqual(differencesAmong(usual, ...own.map((asked) => [asked] as const)), pairs);
  assert.deepEqual(differencesAmong({}, [{ groups: 1, share: 0.5 }], [{ groups: 2, share: 1 }]), []);

  const [base, residual] = [{ model: "base" }, { model: "residual" }];
  const wide = { model: "base", filters: "9,18" };
  const common = { filters: "8,16", attn: false };
  const found = differencesAmong(common, [base], [residual, 3000], [wide, 3000]);
  assert.deepEqual(found, ["residual | base", "base, [9,18] | base", "base, [9,18] | residual"]);
  const attn = { ...residual, attn: true };
  assert.deepEqual(differencesAmong(common, [attn], [wide, 3000]), [], "two choices");
  // Where both networks have all widths, only the same widths are compared.
  const grid = ["8,16", "16,32"].flatMap((filters, i) =>
    ["base", "residual"].map((model) => [{ model, filters }, 1000 + i] as const)
  );
  assert.deepEqual(differencesAmong({}, ...grid), [
    ...["residual, [8,16] | base, [8,16]", "base, [16,32] | base, [8,16]"],
    ...["residual, [16,32] | residual, [8,16]", "residual, [16,32] | base, [16,32]"],
  ]);
});

Deno.test("summarizeStudy() compares widths and shares of the steps only with the next one", () => {
  const widths = [["8,16", 1000], ["24,48", 9000], ["16,32", 4000]] as const;
  const setups = widths.flatMap(([filters, parameters]) =>
    [0.25, 1, 0.5].map((share) => ({ settings: { filters, share }, frechet: [1], parameters }))
  );
  const pairs = summaryOf(setups).differences.map(({ a, b }) => [a, b].sort().join(" | "));
  const names = ["[8,16]", "[16,32]", "[24,48]"].map((name) =>
    [0.25, 0.5, 1].map((x) => `${name}, share ${x}`)
  );
  const expected = [0, 1, 2].flatMap((i) =>
    [0, 1].flatMap((j) => [[names[i][j], names[i][j + 1]], [names[j][i], names[j + 1][i]]])
  );
  assert.deepEqual(pairs.sort(), expected.map((pair) => pair.sort().join(" | ")).sort());
});

Deno.test("summarizeStudy() combines the finished seeds of a setup", () => {
  const measured = (seed: number, frechet: number) => ({
    real: { frechet: seed },
    costs: { seconds: seed },
    milestones: [{ step: 500, figures: { frechet: frechet + 5 } }],
    solvers: [8, 2].map((evaluations) => ({ spec: `${evaluations}`, evaluations, figures: { frechet } })),
    figures: { frechet, confident: [0.97, 0.99, 0.998][seed - 1] },
  });
  const { setups: [setup], primaries } = summaryOf([
    { settings: { a: 1 }, asked: {}, frechet: [1, undefined, 3], more: measured },
  ]);
  assert.deepEqual([setup.label, setup.planned, setup.results.length], ["the preset", 3, 2]);
  assert.deepEqual(setup.figures.frechet!.values, [1, 3]);
  assert.equal(setup.figures.confident!.interval![1], 1, "a share is at most 1");
  assert.deepEqual(setup.milestones.map(({ step, figures }) => [step, figures.frechet!.mean]), [[500, 7]]);
  assert.deepEqual([setup.costs.seconds!.mean, setup.costs.parameters!.mean], [2, 1000]);
  assert.deepEqual(setup.solvers.map(({ spec }) => spec), ["2", "8"], "cheapest first");
  assert.deepEqual(primaries, [{ key: "frechet", real: 2 }]);
});

Deno.test("summarizeStudy() concludes by Fréchet or kernel distances, or by the velocity error", () => {
  const keysWith = (...keys: string[]) => {
    const more = () => ({ figures: Object.fromEntries(keys.map((key) => [key, 1])) });
    return summaryOf(twoNetworks.map((setup) => ({ ...setup, more }))).primaries.map(({ key }) => key);
  };
  const kernel = ["kernel", "vgg/kernel"];
  assert.deepEqual(keysWith("frechet", "vgg/frechet", ...kernel), ["frechet", "vgg/frechet"]);
  assert.deepEqual(keysWith(...kernel, "velocity_error"), kernel);
  assert.deepEqual(keysWith("velocity_error"), ["velocity_error"]);
});

Deno.test("summarizeStudy() does not compare losses of different meanings, or different data", () => {
  const trainedOn = (settings: MadeUpSetup["settings"], digest: string): MadeUpSetup => ({
    settings: { data: "a", coupling: "independent", tEmb: 8, ...settings },
    frechet: [20, 21],
    more: () => ({ dataset: { name: "digits", digest }, real: { frechet: 1 } }),
  });
  const others = [trainedOn({ coupling: "ot" }, "12"), trainedOn({ data: "b" }, "34")];
  const all = [trainedOn({}, "12"), trainedOn({ tEmb: 16 }, "12"), ...others];
  const { differences, primaries } = summaryOf(all);
  const found = differences.map(({ a, figures }) => [a, "velocity_error" in figures]);
  assert.deepEqual(found, [["a, independent, tEmb 16", true], ["a, ot, tEmb 8", false]]);
  assert.deepEqual(primaries, [{ key: "frechet", real: undefined }], "no value of real images");
  assert.equal(madeUp(others).study.cells.length, 4);
});
