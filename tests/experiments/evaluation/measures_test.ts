import assert from "node:assert/strict";
import { frechetDistance, kernelDistance } from "../../../experiments/evaluation/feature_distances.ts";
import images from "../../vectors/images.json" with { type: "json" };
import { MeasureError, pickPoints, type Points } from "../../../models/mod.ts";
import { assertRelative, cases, joined, normalPoints, vectors } from "../../models/measures/measured.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";
import { mannWhitney, memorisation } from "../../../experiments/evaluation/memorisation.ts";
import { classSpread } from "../../../experiments/evaluation/variety.ts";
import { classEntropy, classHistogram } from "../../../experiments/evaluation/class_entropy.ts";

for (const { name, reference, samples, train, expected } of cases) {
  testOnDevices(`distances and memorisation agree with SciPy and NumPy: ${name}`, async () => {
    const { authentic, copying } = await memorisation(train, reference, samples);
    assertRelative(authentic.value, expected.authentic, 1e-9);
    assertRelative(copying.value, expected.copying, 1e-9);
    const frechet = frechetDistance(reference, samples);
    const kernel = await kernelDistance(reference, samples);
    assertRelative(frechet.value, expected.frechet, 1e-6);
    assertRelative(kernel.value, expected.kernel, 1e-3);
    for (const { low, value, high } of [frechet, kernel]) assert.ok(low < value && value < high);
  });
}

Deno.test("frechetDistance() of a set to itself is 0, and to a shifted copy the squared shift", () => {
  const a = normalPoints(0, 60, 5);
  const { value } = frechetDistance(a, a);
  assert.ok(value >= 0 && value < 1e-10, `${value}`);
  assertRelative(frechetDistance(a, { ...a, values: a.values.map((x) => x + 2) }).value, 5 * 4, 1e-5);
});

Deno.test("frechetDistance() shrinks the covariances of few points as scikit-learn does", () => {
  const { points, few, distance } = images.shrinkage;
  const pointsOf = (values: readonly number[]) => {
    return { values: Float32Array.from(values), rows: values.length / 6, width: 6 };
  };
  const [real, drawn] = [pointsOf(points), pointsOf(few)];
  const found = frechetDistance(real, drawn, { shrunk: true });
  assertRelative(found.value, distance, 1e-6);
  assert.ok(found.low < found.value && found.value < found.high);
  assert.throws(() => frechetDistance(real, drawn), /there are 4 samples .* \(expected at least 12\)/);
  const same = { values: new Float32Array(24).fill(0.5), rows: 4, width: 6 };
  assert.equal(frechetDistance(same, same, { shrunk: true }).value, 0);
});

Deno.test("frechetDistance() accepts constant features", () => {
  const flat = (counter: number) => {
    const points = normalPoints(counter, 60, 5);
    return { ...points, values: points.values.map((x, i) => i % 5 < 2 ? 0 : x) };
  };
  const narrow = (counter: number) => {
    const { values } = flat(counter);
    return { values: values.filter((_, i) => i % 5 >= 2), rows: 60, width: 3 };
  };
  const [all, varying] = [frechetDistance(flat(1), flat(2)), frechetDistance(narrow(1), narrow(2))];
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
const [train, test, fresh] = [normalPoints(0, 400, 10), normalPoints(1, 200, 10), normalPoints(2, 200, 10)];

testOnDevices(
  "memorisation() detects copies, exact or noisy, and underfitting",
  async () => {
    const honest = await memorisation(train, test, fresh);
    assert.ok(honest.copying.low < 0 && honest.copying.high > 0, "fresh samples resemble the test images");
    const copies = pickPoints(train, first(100));
    const noise = normalPoints(3, 100, 10, 0.05).values;
    for (const planted of [copies, { ...copies, values: copies.values.map((x, i) => x + noise[i]) }]) {
      const caught = await memorisation(train, test, joined(planted, pickPoints(fresh, first(100))), {
        k: 2,
      });
      assert.ok(caught.copying.high < -3, `C_T ${caught.copying.value}`);
      assert.ok(caught.authentic.high < honest.authentic.low, `${caught.authentic.value} authentic`);
      assert.ok(caught.authentic.value <= 0.5, "no copy counts as authentic");
      for (let n = 0; n < 100; n++) assert.equal(caught.nearest.indices[2 * n], n);
    }
    const doubled = joined(train, pickPoints(train, first(50))); // each of these occurs twice
    assert.equal((await memorisation(doubled, test, pickPoints(train, first(50)))).authentic.value, 0);
    const wide = await memorisation(train, test, normalPoints(2, 200, 10, 2));
    assert.ok(wide.copying.low > 3 && wide.authentic.value > 0.95, "underfitting");
  },
);

testOnDevices("measures refuse too few points, other sizes and unknown classes in one line", async () => {
  const few = normalPoints(0, 9, 4);
  const start = "Cannot measure memorisation: there are ";
  const refused: [measure: () => unknown, says: string][] = [
    [
      () => frechetDistance(few, normalPoints(1, 7, 4)),
      "Cannot take the Fréchet distance: there are 7 samples of 4 values (expected at least 8); use more",
    ],
    [() => memorisation(pickPoints(train, [0]), test, fresh), `${start}1 training images`],
    [() => memorisation(train, test, pickPoints(fresh, [])), `${start}0 samples`],
    [() => memorisation(train, few, fresh), "Cannot measure memorisation: samples have 4 values"],
    ...[4, -1, 0.5, NaN].map((
      label,
    ): [() => unknown, string] => [
      () => classHistogram([0, label], 4),
      `Cannot count classes: label 1 is ${label} (`,
    ]),
    [() => classHistogram([], 4), "Cannot count classes: there are no labels"],
  ];
  frechetDistance(few, normalPoints(1, 8, 4));
  for (const [measure, says] of refused) {
    await assert.rejects(async () => await measure(), (error: Error) => {
      assert.ok(error instanceof MeasureError && error.message.startsWith(says), error.message);
      return true;
    });
  }
});

Deno.test("mannWhitney() is 0 for equal sets, and counts ties half", () => {
  const x = Float64Array.of(1, 2, 2, 5);
  assert.equal(mannWhitney(x, x).value, 0);
  // Of 2 x 3 pairs, 3 wins and 2 ties.
  assertRelative(
    mannWhitney(Float64Array.of(2, 3), Float64Array.of(1, 2, 3)).value,
    (3 + 2 / 2 - 3) / Math.sqrt(2 * 3 * 6 / 12),
    1e-12,
  );
});

Deno.test("classEntropy() agrees with SciPy, and is 0 for one class and largest for equal shares", () => {
  const { labels, classes, bits } = vectors.entropy;
  const { value, low, high } = classEntropy(labels, classes);
  assertRelative(value, bits, 1e-12);
  assert.ok(low < value && value < high);
  assert.deepEqual(classEntropy([3, 3, 3], 10), { value: 0, low: 0, high: 0 });
  assert.deepEqual(classEntropy([0, 1, 2, 3], 4), { value: 2, low: 2, high: 2 });
  assert.deepEqual(classHistogram([2, 0, 2], 4), Uint32Array.of(1, 0, 2, 0));
});

Deno.test("classSpread() is the mean distance of two images of a class, and blind to other classes", () => {
  const images = { values: Float32Array.of(0, 0, 3, 4, 0, 0, 100, 0, 50, 50), rows: 5, width: 2 };
  assert.equal(classSpread(images, [0, 0, 0, 1, 2])!.value, (5 + 5 + 0) / 3);
  assert.equal(classSpread(images, [0, 1, 2, 3, 4]), undefined);
});
