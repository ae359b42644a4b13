import assert from "node:assert/strict";
import { classEntropy, classHistogram } from "../../../experiments/measures/class_entropy.ts";
import { assertRelative, vectors } from "./measured.ts";

Deno.test("classEntropy() agrees with SciPy", () => {
  const { labels, classes, bits } = vectors.entropy;
  const { value, low, high } = classEntropy(labels, classes);
  assertRelative(value, bits, 1e-12);
  assert.ok(low < value && value < high);
});

Deno.test("classEntropy() is 0 for one class, and largest for equal shares", () => {
  assert.deepEqual(classEntropy([3, 3, 3], 10), { value: 0, low: 0, high: 0 });
  assert.deepEqual(classEntropy([0, 1, 2, 3], 4), { value: 2, low: 2, high: 2 });
});

Deno.test("classHistogram() counts each class, and refuses what is none", () => {
  assert.deepEqual(classHistogram([2, 0, 2], 4), Uint32Array.of(1, 0, 2, 0));
  for (const label of [4, -1, 0.5, NaN]) {
    assert.throws(
      () => classHistogram([0, label], 4),
      /^MeasureError: Cannot count classes: label 1 is .*0 to 3/,
    );
  }
  assert.throws(() => classHistogram([], 4), /^MeasureError: Cannot count classes: there are no labels/);
});
