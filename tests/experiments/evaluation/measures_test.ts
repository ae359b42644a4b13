import assert from "node:assert/strict";
import {
  authenticity,
  classEntropy,
  classHistogram,
  classSpread,
  frechetDistance,
  kernelDistance,
  kernelDistanceToFew,
  recognised,
  verdicts,
} from "../../../experiments/evaluation/measures.ts";
import { type Estimate, pickPoints, type Points, precisionRecall } from "../../../models/mod.ts";
import { assertRelative, cases, joined, normalPoints, vectors } from "../../models/measures/measured.ts";
import { assertClose, testOnCpu } from "../../testing.ts";

for (const { name, reference, samples, train, expected } of cases) {
  testOnCpu(`distances and authenticity agree with SciPy and NumPy: ${name}`, async () => {
    assertRelative((await authenticity(train, samples)).authentic.value, expected.authentic, 1e-9);
    const frechet = frechetDistance(reference, samples);
    const kernel = await kernelDistance(reference, samples);
    assertRelative(frechet.value, expected.frechet, 1e-6);
    assertRelative(kernel.value, expected.kernel, 1e-3);
    for (const { low, value, high } of [frechet, kernel]) assert.ok(low < value && value < high);
  });
}

const [N, F, sets] = [200, 6, 24];
const reference = normalPoints(0, N, F);

/** The estimates whose intervals are made for themselves; the others are proportions. */
async function estimates(samples: Points, seed: number): Promise<Record<string, Estimate>> {
  const options = { seed, resamples: 200 };
  const classOf = (n: number) => Math.min(4, Math.floor(Math.abs(samples.values[n * F]) * 2));
  const classes = Array.from({ length: N }, (_, n) => classOf(n));
  return {
    frechet: frechetDistance(reference, samples, options),
    kernel: await kernelDistance(reference, samples, options),
    ...await precisionRecall(reference, samples, options),
    entropy: classEntropy(classes, 5, options),
  };
}

testOnCpu("intervals match the spread of figures", async () => {
  const found: Record<string, Estimate>[] = [];
  for (let n = 0; n < sets; n++) found.push(await estimates(normalPoints(2 + n, N, F, 1.3, 0.5), n));
  for (const name of Object.keys(found[0])) {
    const all = found.map((set) => set[name]);
    const mean = all.reduce((sum, { value }) => sum + value, 0) / sets;
    const held = all.filter(({ low, high }) => low <= mean && mean <= high).length / sets;
    assert.ok(held >= 0.85, `the interval of ${name} contains the mean in ${held} of cases`);
    const spread = Math.sqrt(all.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / (sets - 1));
    const error = all.reduce((sum, { low, high }) => sum + (high - low) / 3.92, 0) / sets;
    assert.ok(error > 0.75 * spread && error < 1.7 * spread, `${name}: ${error} for a spread of ${spread}`);
  }
});

testOnCpu(
  "kernelDistanceToFew() is near 0 for real images, and its intervals hold, however few there are",
  async () => {
    // Positive, with long tails, as the features of a judge.
    const heavy = (seed: number, rows: number, shift = 0): Points => {
      const { values, width } = normalPoints(seed, rows, F);
      return { rows, width, values: values.map((value) => Math.exp(value) + shift) };
    };
    for (const few of [30, 100, 168, 1000]) {
      let [held, alone] = [0, 0];
      let misses = 0;
      for (let n = 0; n < sets; n++) {
        const [test, train, samples] = [heavy(3 * n, few), heavy(3 * n + 1, 400), heavy(3 * n + 2, 400)];
        const { value, low, high } = await kernelDistanceToFew(test, samples, train);
        assert.ok(low <= value && value <= high);
        if (low <= 0 && 0 <= high) held++;
        const plain = await kernelDistance(test, samples);
        if (plain.low <= 0 && 0 <= plain.high) alone++;
        misses += Math.abs(value) < Math.abs(plain.value) ? 1 : 0;
      }
      assert.ok(held >= 0.85 * sets, `${few} test images: ${held} of ${sets} intervals hold`);
      if (few < 200) assert.ok(alone < held, `${few} test images: plain distances are off`);
      if (few === 30) {
        assert.ok(misses > sets / 2, `${few} test images: ${misses} of ${sets} are nearer to 0`);
      }
      const worse = await kernelDistanceToFew(heavy(1, few), heavy(2, 400, 3), heavy(3, 400));
      assert.ok(worse.low > 0, `${few} test images: ${worse.low} to ${worse.high}`);
    }
    const test = heavy(1, 30), train = heavy(2, 400);
    assert.equal((await kernelDistanceToFew(test, train, train)).value, 0);
  },
);

Deno.test("frechetDistance() is 0 to itself, the squared shift to a copy, and ignores constants", () => {
  const a = normalPoints(0, 60, 5);
  const { value } = frechetDistance(a, a);
  assert.ok(value >= 0 && value < 1e-10, `${value}`);
  assertRelative(frechetDistance(a, { ...a, values: a.values.map((x) => x + 2) }).value, 5 * 4, 1e-5);
  const flat = (points: Points) => ({ ...points, values: points.values.map((x, i) => i % 5 < 2 ? 0 : x) });
  const narrow = ({ values }: Points) => ({
    values: values.filter((_, i) => i % 5 >= 2),
    rows: 60,
    width: 3,
  });
  const [b, c] = [normalPoints(1, 60, 5), normalPoints(2, 60, 5)];
  const [all, varying] = [frechetDistance(flat(b), flat(c)), frechetDistance(narrow(b), narrow(c))];
  assertRelative(all.value, varying.value, 1e-6);
  assertRelative(all.high, varying.high, 1e-5);
});

const [many, more] = [normalPoints(0, 1030, 3), normalPoints(1, 4100, 3, 1.2)];

/** The mean kernel of the pairs of two sets, without a point and itself. */
function meanKernel(x: Points, y: Points): number {
  let sum = 0;
  for (let i = 0; i < x.rows; i++) {
    for (let j = 0; j < y.rows; j++) {
      if (x === y && i === j) continue;
      let product = 0;
      for (let f = 0; f < 3; f++) product += x.values[3 * i + f] * y.values[3 * j + f];
      const base = product / 3 + 1;
      sum += base * base * base;
    }
  }
  return sum / (x.rows * (x === y ? y.rows - 1 : y.rows));
}

testOnCpu("kernelDistance() does not depend on the number of blocks of rows and columns", async () => {
  const distance = meanKernel(many, many) + meanKernel(more, more) - 2 * meanKernel(many, more);
  assertRelative((await kernelDistance(many, more)).value, distance, 1e-3);
});

const first = (count: number) => Array.from({ length: count }, (_, n) => n);
const [train, fresh] = [normalPoints(0, 400, 10), normalPoints(2, 200, 10)];

testOnCpu("authenticity() detects copies, exact or noisy, and finds their originals", async () => {
  const honest = (await authenticity(train, fresh)).authentic;
  const copies = pickPoints(train, first(100));
  const noise = normalPoints(3, 100, 10, 0.05).values;
  for (const planted of [copies, { ...copies, values: copies.values.map((x, i) => x + noise[i]) }]) {
    const all = joined(planted, pickPoints(fresh, first(100)));
    const { authentic, nearest } = await authenticity(train, all, 2);
    assert.ok(authentic.high < honest.low && authentic.value <= 0.5, `${authentic.value} authentic`);
    for (let n = 0; n < 100; n++) assert.equal(nearest.indices[2 * n], n);
  }
  const doubled = joined(train, pickPoints(train, first(50))); // each of these occurs twice
  assert.equal((await authenticity(doubled, pickPoints(train, first(50)))).authentic.value, 0);
});

Deno.test("verdicts() and recognised() take the most probable class, and count from 0.9 on", () => {
  const probabilities = Float64Array.from([0.05, 0.95, 0.5, 0.5, 0.9, 0.1, 0.4, 0.6]);
  const seen = verdicts(Float32Array.from(probabilities), 2);
  assert.deepEqual([...seen.classes], [1, 0, 0, 1], "a tie goes to the first");
  assertClose(seen.confidence, [0.95, 0.5, 0.9, 0.6], 1e-6);
  const features = { values: new Float32Array(), rows: 4, width: 0 };
  const judgement = {
    probabilities: Float32Array.from(probabilities, (p) => p === 0.9 ? 0.91 : p),
    features,
  };
  const { confident, asked_class, class_entropy } = recognised(judgement, 2, [1, 0, 1, 0]);
  assert.deepEqual([confident.value, asked_class!.value, class_entropy.value], [0.5, 0.5, 1]);
});

testOnCpu("measures refuse too few points, other sizes and unknown classes in one line", async () => {
  const few = normalPoints(0, 9, 4);
  const start = "Cannot measure authenticity: ";
  const frechet = (rows: number) => frechetDistance(few, normalPoints(1, rows, 4));
  const refused: [measure: () => unknown, says: string][] = [
    [() => frechet(7), "Cannot take the Fréchet distance: there are 7 samples "],
    [() => authenticity(pickPoints(train, [0]), fresh), `${start}there are 1 training images`],
    [() => authenticity(train, pickPoints(fresh, [])), `${start}there are 0 samples`],
    [() => authenticity(train, few), `${start}samples have 4 values`],
    ...[4, -1, NaN].map((label): [() => unknown, string] => [
      () => classHistogram([0, label], 4),
      `Cannot count classes: label 1 is ${label} (`,
    ]),
    [() => classHistogram([], 4), "Cannot count classes: there are no labels"],
  ];
  frechet(8);
  for (const [measure, says] of refused) {
    const message = RegExp(`^${RegExp.escape(says)}`);
    await assert.rejects(async () => await measure(), { name: "MeasureError", message });
  }
});

Deno.test("classEntropy() agrees with SciPy, and classSpread() is blind to other classes", () => {
  const { labels, classes, bits } = vectors.entropy;
  const { value, low, high } = classEntropy(labels, classes);
  assertRelative(value, bits, 1e-12);
  assert.ok(low < value && value < high);
  assert.deepEqual(classEntropy([3, 3, 3], 10), { value: 0, low: 0, high: 0 });
  assert.deepEqual(classEntropy([0, 1, 2, 3], 4), { value: 2, low: 2, high: 2 });
  assert.deepEqual(classHistogram([2, 0, 2], 4), Uint32Array.of(1, 0, 2, 0));
  const images = { values: Float32Array.of(0, 0, 3, 4, 0, 0, 100, 0, 50, 50), rows: 5, width: 2 };
  assert.equal(classSpread(images, [0, 0, 0, 1, 2])!.value, (5 + 5 + 0) / 3);
  assert.equal(classSpread(images, [0, 1, 2, 3, 4]), undefined);
});
