import assert from "node:assert/strict";
import { checkEvolution, evenTimes, type Evolution } from "../../../viz/mod.ts";

const evolution: Evolution = {
  t: Float32Array.of(0, 1),
  image: new Float32Array(2 * 3 * 4),
  velocity: new Float32Array(3 * 4),
  shape: [2, 3, 2, 2],
};

Deno.test("checkEvolution() accepts one and three channels, and says which array does not fit", () => {
  checkEvolution("test", evolution);
  checkEvolution("test", { ...evolution, shape: [2, 1, 4, 3] });
  checkEvolution("test", { ...evolution, shape: [2, 4, 3] });
  assert.throws(() => checkEvolution("test", { ...evolution, shape: [2, 3, 2, 3] }), {
    name: "RangeError",
    message: "Cannot test: image holds 24 values (expected 36 for [M, C, H, W] = [2,3,2,3])",
  });
  assert.throws(() => checkEvolution("test", { ...evolution, shape: [2, 4, 3, 1] }), {
    name: "RangeError",
    message: "Cannot test: images have 4 channels (expected 1, grey, or 3: red, green and blue)",
  });
});

Deno.test("evenTimes() tells equal steps from others, in f32", () => {
  for (const M of [1, 2, 3, 1001]) {
    assert.ok(evenTimes(Float32Array.from({ length: M }, (_, m) => m / Math.max(M - 1, 1))), `${M}`);
  }
  assert.equal(evenTimes([0, 0.4, 1]), false);
});
