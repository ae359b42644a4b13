import assert from "node:assert/strict";
import { kernelDistance } from "../../../experiments/measures/feature_distances.ts";
import { testOnDevices } from "../../testing.ts";
import { assertRelative, cases, normalPoints } from "../../models/measures/measured.ts";

for (const { name, reference, samples, expected } of cases) {
  testOnDevices(`kernelDistance() agrees with NumPy: ${name}`, async () => {
    const { value, low, high } = await kernelDistance(reference, samples);
    assertRelative(value, expected.kernel, 1e-3);
    assert.ok(low < value && value < high);
  });
}

testOnDevices("kernelDistance() of one distribution is around 0, and so below it at times", async () => {
  const reference = normalPoints(0, 100, 6);
  const estimates = [];
  for (let n = 1; n <= 20; n++) estimates.push(await kernelDistance(reference, normalPoints(n, 100, 6)));
  assert.ok(estimates.some(({ value }) => value < 0) && estimates.some(({ value }) => value > 0));
  const held = estimates.filter(({ low, high }) => low <= 0 && 0 <= high).length;
  assert.ok(held >= 16, `${held} of 20 intervals hold 0`);
});

testOnDevices("kernelDistance() is the same in one block of rows and in several", async () => {
  const [a, b] = [normalPoints(0, 1500, 3), normalPoints(1, 1300, 3, 1.2)];
  const { value } = await kernelDistance(a, b);
  const k = (x: typeof a, i: number, y: typeof b, j: number) => {
    let product = 0;
    for (let f = 0; f < 3; f++) product += x.values[3 * i + f] * y.values[3 * j + f];
    return (product / 3 + 1) ** 3;
  };
  const meanOf = (x: typeof a, y: typeof b) => {
    let sum = 0;
    for (let i = 0; i < x.rows; i++) {
      for (let j = 0; j < y.rows; j++) if (x !== y || i !== j) sum += k(x, i, y, j);
    }
    return sum / (x.rows * (x === y ? y.rows - 1 : y.rows));
  };
  assertRelative(value, meanOf(a, a) + meanOf(b, b) - 2 * meanOf(a, b), 1e-3);
});
