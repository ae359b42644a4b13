import assert from "node:assert/strict";
import { bootstrap, meanEstimate, proportion } from "../../../models/measures/estimate.ts";
import { randomBits, uniforms } from "../../../kernels/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";
import { assertRelative, cases, normalPoints, vectors } from "./measured.ts";
import { upTo } from "../../refusing.ts";
import { type Points, squaredDistance } from "../../../models/measures/points.ts";
import { precisionRecall } from "../../../models/measures/precision_recall.ts";

Deno.test("meanEstimate() covers the true mean in about 95 of 100 cases", () => {
  const held = Array.from({ length: 400 }, (_, n) => {
    const { value, low, high } = meanEstimate(uniforms(3, 0, n, 60), { seed: n, resamples: 300 });
    assert.ok(low < value && value < high);
    return low <= 0.5 && 0.5 <= high;
  }).filter(Boolean).length;
  assert.ok(held >= 366 && held <= 394, `${held} of 400`);
});

Deno.test("bootstrap() depends on its seed, but not on a constant shift of all influences", () => {
  const terms = uniforms(3, 0, 0, 50);
  assert.deepEqual(bootstrap(1, terms, { seed: 4 }), bootstrap(1, terms, { seed: 4 }));
  assert.notDeepEqual(bootstrap(1, terms, { seed: 4 }), bootstrap(1, terms, { seed: 5 }));
  const [a, b] = [bootstrap(1, terms), bootstrap(1, terms.map((term) => term + 8))];
  assertClose([a.value, a.low, a.high], [b.value, b.low, b.high], 1e-6);
  for (const equal of [[7], [7, 7, 7]]) assert.deepEqual(bootstrap(2, equal), { value: 2, low: 2, high: 2 });
});

Deno.test("bootstrap() returns the exact percentiles of its resamples", () => {
  const terms = Float64Array.from(uniforms(3, 0, 1, 30));
  const mean = terms.reduce((sum, term) => sum + term, 0) / 30;
  const meansOf = (resamples: number) =>
    Float64Array.from({ length: resamples }, (_, r) => {
      const bits = randomBits(7, 20, r, 30); // 20 is the stream of resamples
      return bits.reduce((sum, word) => sum + terms[Math.floor(word / 2 ** 32 * 30)], 0) / 30;
    }).sort();
  const [many, few] = [meansOf(41), meansOf(21)];
  // The 2.5 % quantile of 41 numbers is the second one; of 21, halfway between the first and the second.
  const whole = bootstrap(mean, terms, { seed: 7, resamples: 41 });
  assertClose([whole.low, whole.high], [many[1], many[39]], 1e-12);
  const between = bootstrap(mean, terms, { seed: 7, resamples: 21 });
  assertClose([between.low, between.high], [(few[0] + few[1]) / 2, (few[19] + few[20]) / 2], 1e-12);
});

Deno.test("proportion() agrees with SciPy's Wilson interval", () => {
  for (const { successes, trials, low, high } of vectors.wilson) {
    const interval = proportion(successes, trials);
    assertClose([interval.value, interval.low, interval.high], [successes / trials, low, high], 1e-12);
  }
});

Deno.test("estimates refuse 0 samples, 0 resamples and an invalid seed", () => {
  assert.throws(() => meanEstimate([]), /^MeasureError: Cannot bootstrap a figure with 0 samples /);
  assert.throws(() => proportion(0, 0), /^MeasureError: Cannot take a share with 0 samples /);
  for (const resamples of [0, 1.5, NaN]) {
    assert.throws(
      () => bootstrap(0, [1], { resamples }),
      /^MeasureError: Cannot bootstrap a figure with .* resamples/,
    );
  }
  assert.throws(() => bootstrap(0, [1], { seed: -1 }), /^RangeError: Cannot draw random bits: seed is -1/);
});

for (const { name, reference, samples, expected } of cases) {
  testOnDevices(`precisionRecall() agrees with the authors' package: ${name}`, async () => {
    const measures = await precisionRecall(reference, samples);
    for (const figure of ["precision", "recall", "coverage"] as const) {
      const { value, low, high } = measures[figure];
      assertRelative(value, expected[figure], 1e-9, figure);
      assert.ok(low < value && value < high, figure);
    }
  });
}

testOnDevices(
  "precisionRecall() bootstraps recall and coverage by the points that only one sample covers",
  async () => {
    const [reference, samples, k] = [normalPoints(0, 9, 2), normalPoints(1, 7, 2), 2];
    const [N, M] = [reference.rows, samples.rows];
    const distances = (a: Points, i: number, b: Points) =>
      upTo(b.rows).map((j) => squaredDistance(a, i, b, j));
    const radius = (of: Points, i: number) => distances(of, i, of).sort((a, b) => a - b)[k];
    // Samples whose ball contains each real point, and samples inside each real ball.
    const near = (isNear: (n: number, m: number) => boolean) =>
      upTo(N).map((n) => upTo(M).filter((m) => isNear(n, m)));
    const around = near((n, m) => squaredDistance(samples, m, reference, n) < radius(samples, m));
    const within = near((n, m) => squaredDistance(reference, n, samples, m) < radius(reference, n));
    const estimate = (found: number[][]) => {
      const lost = new Float64Array(M);
      for (const of of found) if (of.length === 1) lost[of[0]] += (M - 1) / N;
      const { value, low, high } = bootstrap(found.filter((of) => of.length > 0).length / N, lost, {
        seed: 3,
      });
      return [value, Math.max(low, 0), Math.min(high, 1)];
    };
    const { recall, coverage } = await precisionRecall(reference, samples, { k, seed: 3 });
    assertClose([recall.value, recall.low, recall.high], estimate(around), 1e-12);
    assertClose([coverage.value, coverage.low, coverage.high], estimate(within), 1e-12);
  },
);

testOnDevices(
  "precisionRecall() of equal sets is 1, of sets far apart 0",
  async () => {
    const a = normalPoints(0, 80, 4);
    const same = await precisionRecall(a, { ...a });
    for (const figure of ["precision", "recall", "coverage"] as const) {
      assert.equal(same[figure].value, 1, figure);
    }
    const apart = await precisionRecall(a, normalPoints(1, 80, 4, 1, 100));
    for (const [name, { value, low }] of Object.entries(apart)) assert.deepEqual([value, low], [0, 0], name);
    assert.ok(apart.precision.high > 0 && apart.precision.high < 0.06);
  },
);

testOnDevices("precisionRecall() refuses k = 0, and sets of at most k points", async () => {
  const [few, many] = [normalPoints(0, 5, 2), normalPoints(1, 6, 2)];
  await precisionRecall(many, many);
  await assert.rejects(
    precisionRecall(many, few),
    /^MeasureError: Cannot take precision.*there are 5 samples.*at least 6/,
  );
  await assert.rejects(
    precisionRecall(many, many, { k: 0 }),
    /^MeasureError: Cannot take precision.* with k = 0 /,
  );
});
