import assert from "node:assert/strict";
import { bootstrap, meanEstimate, proportion } from "../../../experiments/measures/estimate.ts";
import { uniforms } from "../../../kernels/mod.ts";
import { assertClose } from "../../testing.ts";
import { vectors } from "./measured.ts";

Deno.test("meanEstimate() covers the true mean in about 95 of 100 cases", () => {
  const held = Array.from({ length: 400 }, (_, n) => {
    const { value, low, high } = meanEstimate(uniforms(3, 0, n, 60), { seed: n, resamples: 300 });
    assert.ok(low < value && value < high);
    return low <= 0.5 && 0.5 <= high;
  }).filter(Boolean).length;
  assert.ok(held >= 366 && held <= 394, `${held} of 400`);
});

Deno.test("bootstrap() depends on its seed alone, and not on what influences have in common", () => {
  const terms = uniforms(3, 0, 0, 50);
  assert.deepEqual(bootstrap(1, terms, { seed: 4 }), bootstrap(1, terms, { seed: 4 }));
  assert.notDeepEqual(bootstrap(1, terms, { seed: 4 }), bootstrap(1, terms, { seed: 5 }));
  const [a, b] = [bootstrap(1, terms), bootstrap(1, terms.map((term) => term + 8))];
  assertClose([a.value, a.low, a.high], [b.value, b.low, b.high], 1e-6);
});

Deno.test("bootstrap() of one sample, or of equal ones, has no width", () => {
  assert.deepEqual(bootstrap(2, [7]), { value: 2, low: 2, high: 2 });
  assert.deepEqual(bootstrap(2, [7, 7, 7]), { value: 2, low: 2, high: 2 });
});

Deno.test("proportion() agrees with SciPy's interval by Wilson", () => {
  for (const { successes, trials, low, high } of vectors.wilson) {
    const found = proportion(successes, trials);
    assertClose([found.value, found.low, found.high], [successes / trials, low, high], 1e-12);
  }
});

Deno.test("estimates refuse no samples, no resamples and a seed that is none", () => {
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
