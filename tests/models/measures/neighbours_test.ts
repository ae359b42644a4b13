import assert from "node:assert/strict";
import { checkPair, pickPoints, type Points, squaredDistance } from "../../../models/measures/points.ts";
import { nearestNeighbours } from "../../../models/measures/neighbours.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { upTo } from "../../refusing.ts";
import { cases, joined, normalPoints } from "./measured.ts";

const points = (values: number[], width: number) => ({
  values: Float32Array.from(values),
  rows: values.length / width,
  width,
});

Deno.test("checkPair() refuses invalid points with a one-line message", () => {
  const good = points([1, 2, 3, 4], 2);
  checkPair("compare", good, good, 2);
  const cases: [samples: Points, message: RegExp, least?: number][] = [
    [
      points([1, 2, 3, NaN], 2),
      /^Cannot compare: value 1 of samples 1 is NaN \(expected finite numbers\); .*$/,
    ],
    [points([1, Infinity], 2), /is Infinity/],
    [points([], 2), /there are 0 samples of 2 values/],
    [points([1, 2], 2), /expected at least 2/, 2],
    [{ ...good, rows: 3 }, /samples are 4 values in 3 rows of 2/],
    [points([1, 2, 3], 2), /3 values in 1\.5 rows of 2/],
    [points([1, 2, 3], 3), /^Cannot compare: samples have 3 values each, and reference points 2 /],
  ];
  for (const [samples, message, least] of cases) {
    assert.throws(() => checkPair("compare", good, samples, least), { name: "MeasureError", message });
  }
});

Deno.test("pickPoints() returns rows in the given order", () => {
  assert.deepEqual(pickPoints(points([1, 2, 3, 4, 5, 6], 2), [2, 0, 2]), points([5, 6, 1, 2, 5, 6], 2));
});

/** The k nearest reference points of all queries, by sorting. */
function sorted(queries: Points, references: Points, k: number) {
  return upTo(queries.rows).flatMap((i) =>
    upTo(references.rows).map((j) => ({ j, squared: squaredDistance(queries, i, references, j) }))
      .sort((a, b) => a.squared - b.squared || a.j - b.j).slice(0, k)
  );
}

for (const { name, samples, train, expected: { nearest } } of cases) {
  testOnDevices(`nearestNeighbours() agrees with SciPy: ${name}`, async () => {
    const { indices, squared } = await nearestNeighbours(pickPoints(samples, [0, 1, 2, 3, 4]), train, 3);
    assert.deepEqual([...indices], nearest.rows);
    assertClose(squared, nearest.squared, 1e-12);
  });
}

testOnDevices("nearestNeighbours() of many points are exact across blocks", async () => {
  const [queries, references] = [normalPoints(0, 1100, 3), normalPoints(1, 4200, 3, 1, 40)];
  const { indices, squared } = await nearestNeighbours(queries, references, 2);
  for (const i of [0, 1, 500, 1023, 1024, 1099]) {
    const expected = sorted(pickPoints(queries, [i]), references, 2);
    assert.deepEqual([...indices.subarray(2 * i, 2 * i + 2)], expected.map(({ j }) => j));
    assert.deepEqual([...squared.subarray(2 * i, 2 * i + 2)], expected.map(({ squared }) => squared));
  }
});

testOnDevices("nearestNeighbours() of copies are at distance 0, even far from the origin", async () => {
  const references = normalPoints(0, 50, 20, 1e-3, 1000);
  const nudged = {
    ...references,
    values: references.values.map((x, i) => i % 20 === 0 ? x + 2 ** -14 : x),
  };
  const copies = await nearestNeighbours(references, references, 1);
  assert.deepEqual([...copies.indices], [...copies.indices.keys()]);
  assert.ok(copies.squared.every((squared) => squared === 0));
  const near = await nearestNeighbours(nudged, references, 1);
  assert.deepEqual([...near.indices], [...near.indices.keys()]);
  assert.ok(near.squared.every((squared) => squared === 2 ** -28));
});

testOnDevices("nearestNeighbours() are exact if f32 products overflow, underflow or are equal", async () => {
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
});

testOnDevices("nearestNeighbours() are exact if a few f32 products underflow", async () => {
  const mirrored = ({ values, rows, width }: Points) => ({
    values: Float32Array.from({ length: 2 * values.length }, (_, i) => {
      const row = Math.floor(i / width);
      return (row % 2 ? -1 : 1) * values[(row >> 1) * width + i % width];
    }),
    rows: 2 * rows,
    width,
  }); // makes the mean 0, so that tiny points stay tiny
  const tiny = mirrored(normalPoints(1, 20, 4, 1e-24));
  const { indices, squared } = await nearestNeighbours(
    tiny,
    joined(mirrored(normalPoints(0, 20, 4)), tiny),
    1,
  );
  assert.deepEqual([...indices], Array.from({ length: 40 }, (_, n) => 40 + n));
  assert.ok(squared.every((distance) => distance === 0));
});

testOnCpu("nearestNeighbours() refuses k above the number of points, and different widths", async () => {
  const [a, b] = [normalPoints(0, 4, 2), normalPoints(1, 3, 2)];
  for (const k of [0, 4, 1.5]) {
    const message = new RegExp(
      `^Cannot find nearest neighbours: k is ${k} \\(expected a whole number from 1 to 3`,
    );
    await assert.rejects(nearestNeighbours(a, b, k), { name: "MeasureError", message });
  }
  await assert.rejects(nearestNeighbours(a, normalPoints(1, 3, 5), 1), { name: "MeasureError" });
});
