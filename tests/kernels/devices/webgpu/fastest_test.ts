import assert from "node:assert/strict";
import { fastest, first } from "../../../../kernels/devices/webgpu/kernel_timer.ts";

/** Runs the search with a made-up clock. */
async function search(costs: Record<string, number>, noise: (at: number) => number = () => 0) {
  let at = 0;
  const asked: Record<string, number> = {};
  const found = await fastest(Object.keys(costs), (passes) => {
    for (const { candidate } of passes) asked[candidate] = (asked[candidate] ?? 0) + 1;
    return Promise.resolve(passes.map(({ candidate, repeats }) => costs[candidate] * repeats + noise(at++)));
  }, 2);
  return { ...found, asked };
}

Deno.test("fastest() finds the fastest, and gives milliseconds of one run", async () => {
  const { chosen, milliseconds } = await search({ table: 0.5, other: 0.4, third: 0.45 });
  assert.equal(chosen, "other");
  assert.deepEqual(Object.keys(milliseconds), ["table", "other", "third"]);
  assert.ok(Math.abs(milliseconds.other - 0.4) < 1e-9);
});

Deno.test("fastest() keeps the first where no other is clearly faster", async () => {
  assert.equal((await search({ table: 0.4, other: 0.395 })).chosen, "table");
  assert.equal((await search({ table: 0.4, other: 0.38 })).chosen, "other");
});

Deno.test("fastest() does not time again what is far slower, but the first", async () => {
  const { asked } = await search({ table: 5, slow: 9, fast: 1, near: 1.2 });
  assert.equal(asked.slow, asked.table - 7);
  assert.equal(asked.fast, asked.table);
  assert.equal(asked.near, asked.table);
});

Deno.test("fastest() gives a candidate that one run shows slower another chance, where runs take long", async () => {
  const slowOnce = (at: number) => at === 4 ? 400 : 0; // the second run of `other`: the first warms up
  const { chosen } = await search({ table: 250, other: 200, third: 240 }, slowOnce);
  assert.equal(chosen, "other");
  const hopeless = await search({ table: 250, slow: 900 });
  assert.deepEqual(hopeless.asked, { table: 2, slow: 2 });
});

Deno.test("fastest() is not misled by one slow moment", async () => {
  for (let moment = 2; moment < 22; moment++) {
    const { chosen } = await search({ table: 1, other: 0.8 }, (at) => at === moment ? 20 : 0);
    assert.equal(chosen, "other", `slow at ${moment}`);
  }
});

Deno.test("fastest() keeps the first where other work makes all times uncertain", async () => {
  const busy = (at: number) => at % 5 === 0 ? 0 : 5 + at % 7; // most runs are disturbed
  assert.equal((await search({ table: 1, other: 0.8 }, busy)).chosen, "table");
  assert.equal((await search({ table: 40, other: 0.8 }, busy)).chosen, "other");
});

Deno.test("fastest() takes the only candidate", async () => {
  assert.equal((await search({ only: 3 })).chosen, "only");
});

Deno.test("first() times the first candidate, after it has warmed up", async () => {
  const times = [30, 4];
  const found = await first(["a", "b"], (passes) => Promise.resolve(passes.map((_, i) => times[i])));
  assert.deepEqual(found, { chosen: "a", milliseconds: { a: 4 } });
});
