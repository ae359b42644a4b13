/** Nearest neighbours, precision and recall, and intervals, also against SciPy's and the authors' packages. */

import assert from "node:assert/strict";
import { randomBits, uniforms } from "../../../kernels/mod.ts";
import { bootstrap, meanEstimate, precisionRecall, proportion } from "../../../models/measures/estimate.ts";
import {
  checkPair,
  nearestNeighbours,
  pickPoints,
  type Points,
  squaredDistance,
} from "../../../models/measures/points.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { assertRelative, cases, joined, normalPoints, vectors } from "./measured.ts";

const pointsOf = (values: number[], width: number) => ({
  ...{ values: Float32Array.from(values), rows: values.length / width, width },
});

/** The k nearest reference points of all queries, by sorting. */
const sorted = (queries: Points, references: Points, k: number) =>
  upTo(queries.rows).flatMap((i) =>
    upTo(references.rows).map((j) => ({ j, squared: squaredDistance(queries, i, references, j) }))
      .sort((a, b) => a.squared - b.squared || a.j - b.j).slice(0, k)
  );

testOnDevices("nearestNeighbours() agrees with SciPy, and is exact across blocks", async () => {
  for (const { name, samples, train, expected: { nearest } } of cases) {
    const { indices, squared } = await nearestNeighbours(pickPoints(samples, [0, 1, 2, 3, 4]), train, 3);
    assert.deepEqual([...indices], nearest.rows, name);
    assertClose(squared, nearest.squared, 1e-12);
  }
  const [queries, references] = [normalPoints(0, 1100, 3), normalPoints(1, 4200, 3, 1, 40)];
  const { indices, squared } = await nearestNeighbours(queries, references, 2);
  for (const i of [0, 1, 500, 1023, 1024, 1099]) {
    const expected = sorted(pickPoints(queries, [i]), references, 2);
    assert.deepEqual([...indices.subarray(2 * i, 2 * i + 2)], expected.map(({ j }) => j));
    assert.deepEqual([...squared.subarray(2 * i, 2 * i + 2)], expected.map(({ squared }) => squared));
  }
});

testOnCpu(
  "nearestNeighbours() of copies are at distance 0, even far from the origin or where f32 fails",
  async () => {
    const references = normalPoints(0, 50, 20, 1e-3, 1000);
    const values = references.values.map((x, i) => i % 20 === 0 ? x + 2 ** -14 : x);
    for (const [queries, distance] of [[references, 0], [{ ...references, values }, 2 ** -28]] as const) {
      const { indices, squared } = await nearestNeighbours(queries, references, 1);
      assert.deepEqual([...indices], upTo(50));
      assert.ok(squared.every((squared) => squared === distance));
    }
    const same = { values: new Float32Array(5000 * 2).fill(3), rows: 5000, width: 2 };
    const nearest = await nearestNeighbours(pickPoints(same, [0, 1]), same, 3);
    assert.deepEqual([[...nearest.indices], [...nearest.squared]], [[0, 1, 2, 0, 1, 2], [0, 0, 0, 0, 0, 0]]);
    for (const scale of [1e30, 1e-30]) {
      const [points, few] = [normalPoints(0, 20, 4, scale), normalPoints(1, 20, 4, scale * 1e-10)];
      const references = joined(points, few);
      for (const queries of [points, few]) {
        const { indices } = await nearestNeighbours(queries, references, 3);
        assert.deepEqual([...indices], sorted(queries, references, 3).map(({ j }) => j));
      }
    }
    // Mirroring makes the mean 0, so that tiny points stay tiny.
    const mirrored = (points: Points) => joined(points, { ...points, values: points.values.map((x) => -x) });
    const tiny = mirrored(normalPoints(1, 20, 4, 1e-24));
    const { indices, squared } = await nearestNeighbours(
      tiny,
      joined(mirrored(normalPoints(0, 20, 4)), tiny),
      1,
    );
    assert.deepEqual([...indices], upTo(40).map((n) => 40 + n));
    assert.ok(squared.every((distance) => distance === 0));
  },
);

Deno.test("meanEstimate() covers the true mean in about 95 of 100 cases", () => {
  const held = upTo(200).filter((n) => {
    const { value, low, high } = meanEstimate(uniforms(3, 0, n, 60), { seed: n, resamples: 200 });
    assert.ok(low < value && value < high);
    return low <= 0.5 && 0.5 <= high;
  }).length;
  assert.ok(held >= 180 && held <= 198, `${held} of 200`);
});

Deno.test("bootstrap() returns the exact percentiles of its resamples, by its seed", () => {
  const terms = Float64Array.from(uniforms(3, 0, 1, 30)),
    mean = terms.reduce((sum, term) => sum + term, 0) / 30;
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
  assert.deepEqual(bootstrap(mean, terms, { seed: 7, resamples: 21 }), between);
  assert.notDeepEqual(bootstrap(mean, terms, { seed: 5, resamples: 21 }), between);
  const [a, b] = [bootstrap(1, terms), bootstrap(1, terms.map((term) => term + 8))];
  assertClose(
    [a.value, a.low, a.high],
    [b.value, b.low, b.high],
    1e-6,
    "a shift of all influences changes nothing",
  );
  for (const equal of [[7], [7, 7, 7]]) assert.deepEqual(bootstrap(2, equal), { value: 2, low: 2, high: 2 });
  for (const { successes, trials, low, high } of vectors.wilson) { // of SciPy
    const interval = proportion(successes, trials);
    assertClose([interval.value, interval.low, interval.high], [successes / trials, low, high], 1e-12);
  }
});

const figures = ["precision", "recall", "coverage"] as const;

testOnCpu(
  "precisionRecall() agrees with the authors' package; of equal sets it is 1, of sets far apart 0",
  async () => {
    for (const { name, reference, samples, expected } of cases) {
      const measures = await precisionRecall(reference, samples);
      for (const figure of figures) {
        const { value, low, high } = measures[figure];
        assertRelative(value, expected[figure], 1e-9, `${figure} of ${name}`);
        assert.ok(low < value && value < high, figure);
      }
    }
    const a = normalPoints(0, 80, 4),
      same = await precisionRecall(a, { ...a }),
      apart = await precisionRecall(a, normalPoints(1, 80, 4, 1, 100));
    for (const figure of figures) {
      assert.equal(same[figure].value, 1, figure);
      assert.deepEqual([apart[figure].value, apart[figure].low], [0, 0], figure);
    }
    assert.ok(apart.precision.high > 0 && apart.precision.high < 0.06);
  },
);

testOnCpu(
  "precisionRecall() bootstraps recall and coverage by the points that only one sample covers",
  async () => {
    const [reference, samples, k] = [normalPoints(0, 9, 2), normalPoints(1, 7, 2), 2];
    const [N, M] = [reference.rows, samples.rows];
    const radius = (of: Points, i: number) =>
      upTo(of.rows).map((j) => squaredDistance(of, i, of, j)).sort((a, b) => a - b)[k];
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

testOnCpu("measures refuse invalid points and counts in one line", async () => {
  const good = pointsOf([1, 2, 3, 4], 2), [five, six] = [normalPoints(0, 5, 2), normalPoints(1, 6, 2)];
  assert.deepEqual(pickPoints(pointsOf([1, 2, 3, 4, 5, 6], 2), [2, 0, 2]), pointsOf([5, 6, 1, 2, 5, 6], 2));
  checkPair("compare", good, good, 2);
  await precisionRecall(six, six);
  const pair = (samples: Points, least?: number) => () => checkPair("compare", good, samples, least);
  const refused: [() => unknown, RegExp][] = [
    [pair(pointsOf([1, 2, 3, NaN], 2)), /Cannot compare: value 1 of samples 1 is NaN \(expected /],
    [pair(pointsOf([1, Infinity], 2)), /is Infinity/],
    [pair(pointsOf([], 2)), /there are 0 samples of 2 values/],
    [pair(pointsOf([1, 2], 2), 2), /expected at least 2/],
    [pair({ ...good, rows: 3 }), /samples are 4 values in 3 rows of 2/],
    [pair(pointsOf([1, 2, 3], 2)), /3 values in 1\.5 rows of 2/],
    [pair(pointsOf([1, 2, 3], 3)), /Cannot compare: samples have 3 values each, and reference points 2 /],
    ...[0, 6, 1.5].map((k): [() => unknown, RegExp] => [
      () => nearestNeighbours(six, five, k),
      RegExp(`Cannot find nearest neighbours: k is ${k} \\(expected a whole number from 1 to 5`),
    ]),
    [() => nearestNeighbours(six, normalPoints(1, 3, 5), 1), /./],
    [() => meanEstimate([]), /Cannot bootstrap a figure with 0 samples /],
    [() => proportion(0, 0), /Cannot take a share with 0 samples /],
    ...[0, 1.5, NaN].map((resamples): [() => unknown, RegExp] => [
      () => bootstrap(0, [1], { resamples }),
      /Cannot bootstrap a figure with .* resamples/,
    ]),
    [() => precisionRecall(six, five), /Cannot take precision.*there are 5 samples.*at least 6/],
    [() => precisionRecall(six, six, { k: 0 }), /Cannot take precision.* with k = 0 /],
  ];
  for (const [call, message] of refused) {
    await assert.rejects(async () => await call(), { name: "MeasureError", message });
  }
  assert.throws(() => bootstrap(0, [1], { seed: -1 }), /^RangeError: Cannot draw random bits: seed is -1/);
});
