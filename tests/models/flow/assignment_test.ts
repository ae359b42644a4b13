import assert from "node:assert/strict";
import { randomBits } from "../../../kernels/mod.ts";
import { assignment } from "../../../models/flow/transport.ts";
import vectors from "../../vectors/assignments.json" with { type: "json" };

const totalOf = (cost: ArrayLike<number>, columns: ArrayLike<number>) =>
  Array.from(columns).reduce((sum, column, row) => sum + cost[row * columns.length + column], 0);

/** All orders of 0 .. n - 1. */
function permutations(n: number): number[][] {
  if (n === 0) return [[]];
  return permutations(n - 1).flatMap((rest) => rest.concat(0).map((_, at) => rest.toSpliced(at, 0, n - 1)));
}

Deno.test("assignment() finds the least cost of all permutations, for up to 7 rows", () => {
  for (let n = 1; n <= 7; n++) {
    const orders = permutations(n);
    for (let draw = 0; draw < 5; draw++) {
      const cost = Float64Array.from(
        randomBits(1, n, draw, n * n),
        (bits) => bits % (draw < 2 ? 5 : 1e6) - 2,
      );
      const found = assignment(cost, n);
      assert.deepEqual([...found].toSorted((a, b) => a - b), [...Array(n).keys()]);
      assert.equal(totalOf(cost, found), Math.min(...orders.map((order) => totalOf(cost, order))));
    }
  }
});

for (const { kind, n, cost, total } of vectors.problems) {
  Deno.test(`assignment() costs what scipy's linear_sum_assignment does: ${kind}, ${n} rows`, () => {
    const found = assignment(Float64Array.from(cost), n);
    assert.deepEqual([...found].toSorted((a, b) => a - b), [...Array(n).keys()]);
    assert.equal(totalOf(cost, found), total);
  });
}

Deno.test("assignment() handles no rows, and refuses what is no matrix of numbers", () => {
  assert.deepEqual(assignment(new Float64Array(), 0), new Uint32Array());
  assert.throws(() => assignment(Float64Array.of(1, 2), 2), /^RangeError: Cannot assign 2 rows by 2 costs/);
  assert.throws(() => assignment(Float64Array.of(NaN), 1), RangeError);
});
