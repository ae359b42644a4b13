import assert from "node:assert/strict";
import { defineTableau, evaluations, type SolverName, solvers } from "../../../models/mod.ts";

const order2 = { order: 2, a: [[], [1]], b: [1 / 2, 1 / 2], c: [0, 1] };

Deno.test("defineTableau() refuses tableaus that are not explicit or consistent, and says why", () => {
  const refused = (change: Partial<Parameters<typeof defineTableau>[0]>, message: RegExp) =>
    assert.throws(() => defineTableau({ ...order2, ...change }), { name: "RangeError", message });
  refused({ order: 0 }, /^Cannot make a solver: its order is 0 \(expected a positive integer\)$/);
  refused({ b: [1 / 2, 1 / 3] }, /b sums to 0.83\d* \(expected 1\)/);
  refused({ c: [0, 1 / 2] }, /row 1 of a sums to 1 \(expected 0.5\)/);
  refused({ c: [0] }, /a has 2 rows and c 1 values \(expected 2, the length of b\)/);
  refused({ a: [[0], [1]] }, /row 0 of a has 1 values \(expected at most 0 in an explicit method\)/);
  refused({ error: [1 / 2, 1 / 2] }, /error sums to 1 \(expected 0\)/);
  refused({ error: [0] }, /error has 1 values \(expected 2, the length of b\)/);
});

Deno.test("defineTableau() detects first-same-as-last methods", () => {
  assert.equal(defineTableau(order2).firstSameAsLast, false);
  const handsOn = defineTableau({
    order: 1,
    a: [[], [1 / 2], [1 / 2, 1 / 2]],
    b: [1 / 2, 1 / 2, 0],
    c: [0, 1 / 2, 1],
  });
  assert.equal(handsOn.firstSameAsLast, true);
  assert.equal(evaluations(handsOn, 4), 9);
  assert.equal(evaluations(solvers.rk4, 4), 16);
  for (const name of Object.keys(solvers) as SolverName[]) defineTableau(solvers[name]);
});
