import assert from "node:assert/strict";
import { prdc } from "../../../experiments/measures/prdc.ts";
import { testOnDevices } from "../../testing.ts";
import { assertRelative, cases, normalPoints } from "./measured.ts";

for (const { name, reference, samples, expected } of cases) {
  testOnDevices(`prdc() agrees with its authors' package: ${name}`, async () => {
    const found = await prdc(reference, samples);
    for (const figure of ["precision", "recall", "density", "coverage"] as const) {
      const { value, low, high } = found[figure];
      assertRelative(value, expected[figure], 1e-9, figure);
      assert.ok(low < value && value < high, figure);
    }
  });
}

testOnDevices("prdc() of two sets of one distribution has the known density and coverage", async () => {
  const N = 1500, k = 5;
  const { density, coverage } = await prdc(normalPoints(0, N, 8), normalPoints(1, N, 8));
  // A real ball has k of the N - 1 others; it has no sample if all of the k nearest of both sets are real.
  const missed = Array.from({ length: k }, (_, i) => (N - 1 - i) / (2 * N - 1 - i)).reduce((a, b) => a * b);
  assert.ok(Math.abs(density.value - 1) < 0.08, `density ${density.value}`);
  assert.ok(Math.abs(coverage.value - (1 - missed)) < 0.015, `coverage ${coverage.value}`);
});

testOnDevices("prdc() of a set and itself is all, and of sets far apart nothing", async () => {
  const a = normalPoints(0, 80, 4);
  const same = await prdc(a, { ...a });
  for (const figure of ["precision", "recall", "coverage"] as const) {
    assert.equal(same[figure].value, 1, figure);
  }
  const apart = await prdc(a, normalPoints(1, 80, 4, 1, 100));
  for (const [name, { value, low }] of Object.entries(apart)) assert.deepEqual([value, low], [0, 0], name);
  assert.ok(apart.precision.high > 0 && apart.precision.high < 0.06);
});

testOnDevices("prdc() tells samples without variety from samples without quality", async () => {
  const reference = normalPoints(0, 300, 4);
  const timid = await prdc(reference, normalPoints(1, 300, 4, 0.3));
  const wild = await prdc(reference, normalPoints(2, 300, 4, 3));
  assert.ok(timid.precision.low > 0.95 && timid.recall.high < 0.4, "few kinds");
  assert.ok(wild.precision.high < 0.4 && wild.recall.low > 0.95, "many bad ones");
});

testOnDevices("prdc() refuses no more points than k, and a k of 0", async () => {
  const [few, many] = [normalPoints(0, 5, 2), normalPoints(1, 6, 2)];
  await prdc(many, many);
  await assert.rejects(
    prdc(many, few),
    /^MeasureError: Cannot take precision.*there are 5 samples.*at least 6/,
  );
  await assert.rejects(prdc(many, many, { k: 0 }), /^MeasureError: Cannot take precision.* with k = 0 /);
});
