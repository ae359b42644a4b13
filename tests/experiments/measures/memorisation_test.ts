import assert from "node:assert/strict";
import { mannWhitney, memorisation } from "../../../experiments/measures/memorisation.ts";
import { rowsOf } from "../../../experiments/measures/points.ts";
import { testOnDevices } from "../../testing.ts";
import { assertRelative, cases, joined, normalPoints } from "./measured.ts";

for (const { name, reference, samples, train, expected } of cases) {
  testOnDevices(`memorisation() agrees with SciPy: ${name}`, async () => {
    const { authentic, copying } = await memorisation(train, reference, samples);
    assertRelative(authentic.value, expected.authentic, 1e-9);
    assertRelative(copying.value, expected.copying, 1e-9);
  });
}

const first = (count: number) => Array.from({ length: count }, (_, n) => n);
const [train, test, fresh] = [normalPoints(0, 400, 10), normalPoints(1, 200, 10), normalPoints(2, 200, 10)];

testOnDevices("memorisation() catches planted copies, also with slight noise", async () => {
  const honest = await memorisation(train, test, fresh);
  assert.ok(honest.copying.low < 0 && honest.copying.high > 0, "fresh samples are like the test images");
  const copies = rowsOf(train, first(100));
  const noise = normalPoints(3, 100, 10, 0.05).values;
  for (const planted of [copies, { ...copies, values: copies.values.map((x, i) => x + noise[i]) }]) {
    const caught = await memorisation(train, test, joined(planted, rowsOf(fresh, first(100))), { k: 2 });
    assert.ok(caught.copying.high < -3, `C_T ${caught.copying.value}`);
    assert.ok(caught.authentic.high < honest.authentic.low, `${caught.authentic.value} authentic`);
    assert.ok(caught.authentic.value <= 0.5, "no copy counts as authentic");
    for (let n = 0; n < 100; n++) assert.equal(caught.nearest.indices[2 * n], n);
  }
});

testOnDevices("memorisation() tells underfitting from copying", async () => {
  const { authentic, copying } = await memorisation(train, test, normalPoints(2, 200, 10, 2));
  assert.ok(copying.low > 3 && authentic.value > 0.95);
});

testOnDevices(
  "memorisation() of a training image that is there twice counts its copies as copies",
  async () => {
    const doubled = joined(train, rowsOf(train, first(50)));
    assert.equal((await memorisation(doubled, test, rowsOf(train, first(50)))).authentic.value, 0);
  },
);

testOnDevices(
  "memorisation() refuses one training image, no samples and images of another size",
  async () => {
    const refused = async (what: Promise<unknown>, words: RegExp) => {
      await assert.rejects(what, (error: Error) => {
        assert.equal(error.name, "MeasureError");
        assert.match(error.message, words);
        return true;
      });
    };
    const start = "^Cannot measure memorisation: ";
    await refused(
      memorisation(rowsOf(train, [0]), test, fresh),
      RegExp(`${start}there are 1 training images`),
    );
    await refused(memorisation(train, test, rowsOf(fresh, [])), RegExp(`${start}there are 0 samples`));
    await refused(memorisation(train, normalPoints(1, 9, 4), fresh), RegExp(`${start}samples have 4 values`));
  },
);

Deno.test("mannWhitney() is 0 for equal numbers, and counts ties half", () => {
  const x = Float64Array.of(1, 2, 2, 5);
  assert.equal(mannWhitney(x, x).value, 0);
  // Of 2 x 3 pairs, 3 wins and 2 ties.
  assertRelative(
    mannWhitney(Float64Array.of(2, 3), Float64Array.of(1, 2, 3)).value,
    (3 + 2 / 2 - 3) / Math.sqrt(2 * 3 * 6 / 12),
    1e-12,
  );
});
