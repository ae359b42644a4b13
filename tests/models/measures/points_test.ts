import assert from "node:assert/strict";
import { checkPair, checkPoints, MeasureError, pickPoints } from "../../../models/measures/points.ts";

const points = (values: number[], width: number) => ({
  values: Float32Array.from(values),
  rows: values.length / width,
  width,
});
const refused = (check: () => void, words: RegExp) =>
  assert.throws(check, (error) => {
    assert.ok(error instanceof MeasureError);
    assert.match(error.message, words);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });

Deno.test("checkPoints() refuses what cannot be measured, in one line", () => {
  checkPoints("measure", "samples", points([1, 2, 3, 4], 2), 2);
  refused(
    () => checkPoints("measure", "samples", points([1, 2, 3, NaN], 2)),
    /^Cannot measure: value 1 of samples 1 is NaN \(expected finite numbers\); /,
  );
  refused(() => checkPoints("measure", "samples", points([1, Infinity], 2)), /is Infinity/);
  refused(() => checkPoints("measure", "samples", points([], 2)), /there are 0 samples of 2 values/);
  refused(() => checkPoints("measure", "samples", points([1, 2], 2), 3), /expected at least 3/);
  refused(
    () => checkPoints("measure", "samples", { ...points([1, 2, 3, 4], 2), rows: 3 }),
    /samples are 4 values in 3 rows of 2/,
  );
  refused(() => checkPoints("measure", "samples", points([1, 2, 3], 2)), /3 values in 1\.5 rows of 2/);
});

Deno.test("checkPair() refuses points of different widths", () => {
  refused(
    () => checkPair("compare", points([1, 2, 3, 4], 2), points([1, 2, 3], 3)),
    /^Cannot compare: samples have 3 values each, and reference points 2 /,
  );
});

Deno.test("pickPoints() takes rows in the order asked for", () => {
  assert.deepEqual(pickPoints(points([1, 2, 3, 4, 5, 6], 2), [2, 0, 2]), points([5, 6, 1, 2, 5, 6], 2));
});
