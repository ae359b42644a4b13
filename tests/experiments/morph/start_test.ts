import assert from "node:assert/strict";
import { between, shares } from "../../../experiments/morph/ends.ts";
import { slerp } from "../../../models/mod.ts";

const from = { noise: Float32Array.of(1, 0), label: 3 };
const to = { noise: Float32Array.of(0, 2), label: 8 };

Deno.test("between() leads along the arc, under the class of the nearer end", () => {
  const starts = between(from, to, 5);
  assert.deepEqual(starts.map(({ label }) => label), [3, 3, 3, 8, 8]);
  assert.deepEqual(starts.map(({ noise }) => noise), shares(5).map((s) => slerp(from.noise, to.noise, s)));
  assert.deepEqual([starts[0], starts[4]], [from, to]);
});

Deno.test("between() asks for no class where its ends have none", () => {
  for (const start of between({ noise: from.noise }, { noise: to.noise }, 2)) {
    assert.deepEqual(Object.keys(start), ["noise"]);
  }
});
