import assert from "node:assert/strict";
import { frechetDistance } from "../../../experiments/measures/feature_distances.ts";
import { MeasureError } from "../../../models/measures/points.ts";
import { assertRelative, cases, normalPoints } from "../../models/measures/measured.ts";

for (const { name, reference, samples, expected } of cases) {
  Deno.test(`frechetDistance() agrees with SciPy: ${name}`, () => {
    const { value, low, high } = frechetDistance(reference, samples);
    assertRelative(value, expected.frechet, 1e-6);
    assert.ok(low < value && value < high);
  });
}

Deno.test("frechetDistance() of a set to itself is 0, and to a shifted copy the squared shift", () => {
  const a = normalPoints(0, 60, 5);
  const { value } = frechetDistance(a, a);
  assert.ok(value >= 0 && value < 1e-10, `${value}`);
  assertRelative(frechetDistance(a, { ...a, values: a.values.map((x) => x + 2) }).value, 5 * 4, 1e-5);
});

Deno.test("frechetDistance() takes features that never vary", () => {
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

Deno.test("frechetDistance() refuses fewer samples than twice the features", () => {
  const enough = normalPoints(0, 10, 5);
  frechetDistance(enough, enough);
  assert.throws(
    () => frechetDistance(enough, normalPoints(1, 9, 5)),
    new MeasureError(
      "Cannot take the Fréchet distance: there are 9 samples of 5 values (expected at least 10); use more",
    ),
  );
});
