import assert from "node:assert/strict";
import {
  bootstrapOfMean,
  excludesZero,
  holmSignificant,
  meanOverSeeds,
  pairedDifference,
  shareOverSeeds,
  studentQuantile,
  studentTails,
} from "../../../experiments/study/seed_intervals.ts";
import { normals } from "../../../kernels/mod.ts";

const bySeed = (...values: number[]) => new Map(values.map((value, i) => [i + 1, value]));

function assertNear(actual: number | undefined, expected: number): void {
  assert.ok(Math.abs(actual! - expected) <= 1e-9 * Math.abs(expected), `${actual} is not ${expected}`);
}

Deno.test("studentQuantile() and studentTails() agree with SciPy", () => {
  // python3 -c "from scipy import stats; print([stats.t.ppf(.975, n) for n in (1, 2, 3, 10, 30)])"
  const quantiles = { 1: 12.706204736174694, 2: 4.302652729749462, 3: 3.1824463052837078 };
  for (
    const [n, expected] of Object.entries({ ...quantiles, 10: 2.2281388519649385, 30: 2.0422724563012378 })
  ) {
    assertNear(studentQuantile(0.95, Number(n)), expected);
  }
  // python3 -c "from scipy import stats; print([2 * stats.t.sf(t, n) for t, n in ((.5, 1), (2, 3), (2.5, 4), (3, 7), (1.3, 10), (40, 2))])"
  assertNear(studentTails(0.5, 1), 0.7048327646991335);
  assertNear(studentTails(-2, 3), 0.13932596855884305);
  assertNear(studentTails(2.5, 4), 0.06676654481198814);
  assertNear(studentTails(3, 7), 0.019942126131992536);
  assertNear(studentTails(1.3, 10), 0.2227658172068446);
  assertNear(studentTails(40, 2), 0.0006244146721847406);
});

Deno.test("shareOverSeeds() keeps its interval within 0 and 1", () => {
  const shares = bySeed(0.97, 0.99, 0.998);
  const { interval, ...rest } = shareOverSeeds(shares)!;
  const { interval: whole, ...same } = meanOverSeeds(shares)!;
  assert.ok(whole![1] > 1);
  assert.deepEqual([interval, rest], [[whole![0], 1], same]);
  assert.equal(shareOverSeeds(bySeed(0, 0, 0.1))!.interval![0], 0);
  assert.deepEqual(shareOverSeeds(bySeed(0.5)), { seeds: [1], values: [0.5], mean: 0.5 });
});

Deno.test("pairedDifference() agrees with SciPy's paired t-test over the shared seeds", () => {
  // python3 -c "from scipy import stats; r = stats.ttest_rel([20.1, 22.4, 19], [24, 25.1, 23.9]); print(r.pvalue, r.confidence_interval())"
  const three = pairedDifference(bySeed(20.1, 22.4, 19, 7), bySeed(24, 25.1, 23.9))!;
  assert.deepEqual(three.seeds, [1, 2, 3]);
  assertNear(three.chance, 0.02643703822706688);
  assertNear(three.interval![0], -6.56964607266109);
  assertNear(three.interval![1], -1.0970205940055768);
  assert.ok(excludesZero(three.interval!));
  // python3 -c "from scipy import stats; r = stats.ttest_rel([20.1, 22.4, 19, 21.2, 20.3], [20, 25.1, 18.9, 20.9, 22.3]); print(r.pvalue, r.confidence_interval())"
  const five = pairedDifference(bySeed(20.1, 22.4, 19, 21.2, 20.3), bySeed(20, 25.1, 18.9, 20.9, 22.3))!;
  assertNear(five.chance, 0.25162527581238664);
  assertNear(five.interval![0], -2.5818735962660404);
  assertNear(five.interval![1], 0.9018735962660407);
  assert.ok(!excludesZero(five.interval!));
  assert.equal(pairedDifference(bySeed(1, 2), new Map([[7, 1]])), undefined);
});

Deno.test("meanOverSeeds() agrees with SciPy's interval of a mean, and has none for one seed", () => {
  // python3 -c "from scipy import stats; x = [20.1, 22.4, 19]; print(stats.t.interval(.95, 2, sum(x) / 3, stats.sem(x)))"
  const { mean, interval, bootstrap } = meanOverSeeds(bySeed(20.1, 22.4, 19))!;
  assertNear(mean, 20.5);
  assertNear(interval![0], 16.19018214833505);
  assertNear(interval![1], 24.80981785166495);
  bootstrap!.forEach((end, i) => assertNear(end, [19, 22.4][i])); // never wider than the data
  assert.deepEqual(meanOverSeeds(new Map([[46020, 3]])), { seeds: [46020], values: [3], mean: 3 });
  assert.equal(meanOverSeeds(new Map()), undefined);
});

Deno.test("meanOverSeeds() has no spread for equal values, despite rounding", () => {
  const equal = meanOverSeeds(bySeed(0.1, 0.1, 0.1))!; // their sum over 3 is not 0.1
  assert.deepEqual([equal.deviation, equal.interval], [0, [equal.mean, equal.mean]]);
  // 45 of 170 in both seeds: like 0.7 - 0.1, which is not quite 0.6
  const shares = pairedDifference(bySeed(81 / 170, 84 / 170), bySeed(126 / 170, 129 / 170))!;
  assert.deepEqual([shares.deviation, shares.chance], [0, 0]);
  assertNear(shares.mean, -45 / 170);
  const none = pairedDifference(bySeed(0.1 + 0.2, 0.1 + 0.2), bySeed(0.3, 0.3))!;
  assert.deepEqual([none.mean, none.interval, none.chance], [0, [0, 0], 1]);
});

// As docs/reading_a_study.md says.
for (const [seeds, ofBootstrap] of [[3, 0.75], [5, 0.84]]) {
  Deno.test(`intervals over ${seeds} seeds contain the mean in 95 of 100 cases, bootstrap intervals less often`, () => {
    const trials = 1000;
    const draws = normals(seeds, 0, 0, seeds * trials);
    let [held, heldByBootstrap] = [0, 0];
    for (let i = 0; i < trials; i++) {
      const { interval, bootstrap } = meanOverSeeds(bySeed(...draws.subarray(seeds * i, seeds * (i + 1))))!;
      if (!excludesZero(interval!)) held++;
      if (!excludesZero(bootstrap!)) heldByBootstrap++;
    }
    assert.ok(Math.abs(held / trials - 0.95) < 0.015, `${held / trials}`);
    assert.ok(Math.abs(heldByBootstrap / trials - ofBootstrap) < 0.03, `${heldByBootstrap / trials}`);
  });
}

Deno.test("bootstrapOfMean() uses all resamples of few values, and a sample of them for many", () => {
  const [low, high] = bootstrapOfMean([0, 1, 4, 16]);
  // python3 -c "from itertools import product as p; s = sorted(sum(x) / 4 for x in p((0, 1, 4, 16), repeat=4)); print(s[6], s[-7])"
  assert.deepEqual([low, high], [0.5, 12.25]);
  const many = Array.from({ length: 400 }, (_, i) => i % 2);
  bootstrapOfMean(many).forEach((end, i) => assert.ok(Math.abs(end - [0.451, 0.549][i]) < 0.004, `${end}`));
});

Deno.test("holmSignificant() follows Holm's procedure", () => {
  // In order: 0.005 <= 0.05 / 4 and 0.015 <= 0.05 / 3, but 0.03 > 0.05 / 2.
  assert.deepEqual(holmSignificant([0.015, 0.04, 0.03, 0.005]), [true, false, false, true]);
  assert.deepEqual(holmSignificant([0.04]), [true]);
  assert.deepEqual(holmSignificant([0.04, 0.03]), [false, false]);
  assert.deepEqual(holmSignificant([]), []);
  assert.deepEqual(holmSignificant([NaN, 0.001]), [false, true]);
});
