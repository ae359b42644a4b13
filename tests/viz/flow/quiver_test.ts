import assert from "node:assert/strict";
import { quiver } from "../../../viz/mod.ts";

Deno.test("quiver() points up the gradient of 4 x 4 block means, from block centres", () => {
  const [H, W] = [8, 12];
  // The mean of column c's block rises by 3 a block, that of row r's by 10.
  const velocity = Float32Array.from({ length: H * W }, (_, i) => {
    const [y, x] = [Math.floor(i / W), i % W];
    return 3 * Math.floor(x / 4) + 10 * Math.floor(y / 4) + (y % 4 - 1.5) + (x % 4 - 1.5);
  });
  const arrows = quiver(velocity, [H, W]);
  assert.deepEqual(arrows.map(({ x, y }) => [x, y]), [[2, 2], [6, 2], [10, 2], [2, 6], [6, 6], [10, 6]]);
  for (const { dx, dy } of arrows) assert.deepEqual([dx, dy], [3, 10]);
});

Deno.test("quiver() takes central differences inside and one-sided ones at borders", () => {
  const velocity = Float32Array.from({ length: 4 * 16 }, (_, i) => [0, 1, 4, 9][Math.floor(i % 16 / 4)]);
  assert.deepEqual(quiver(velocity, [4, 16]).map(({ dx, dy }) => [dx, dy]), [[1, 0], [2, 0], [4, 0], [5, 0]]);
});

Deno.test("quiver() averages smaller blocks at the border, and rests in a single block", () => {
  const velocity = Float32Array.from({ length: 4 * 6 }, (_, i) => i % 6 < 4 ? 1 : 5);
  assert.deepEqual(quiver(velocity, [4, 6]).map(({ x, dx }) => [x, dx]), [[2, 4], [5, 4]]);
  assert.deepEqual(quiver(Float32Array.of(3, 4), [1, 2]), [{ x: 1, y: 0.5, dx: 0, dy: 0 }]);
});

Deno.test("quiver() says what does not fit", () => {
  assert.throws(() => quiver(new Float32Array(5), [2, 2]), {
    name: "RangeError",
    message: "Cannot draw quiver: velocity holds 5 values (expected 4, f32[2, 2])",
  });
});
