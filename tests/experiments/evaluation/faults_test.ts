import assert from "node:assert/strict";
import { blurred, broken, grainy, thinned } from "../../../experiments/evaluation/faults.ts";
import { assertClose } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const size = { channels: 1, height: 4, width: 6 };

/** Two images: a bright pixel in the middle of the first, a column of three in the second. */
const images = new Float32Array(48);
images[8] = 1;
for (const h of [0, 1, 2]) images[24 + 6 * h + 5] = 0.5;

Deno.test("blurred() spreads each image by a Gaussian, and loses what leaves it", () => {
  const blur = blurred(images, size, 0.5);
  const weight = (d: number) => Math.exp(-2 * d * d) / (1 + 2 * Math.exp(-2) + 2 * Math.exp(-8));
  assertClose(
    [blur[8], blur[9], blur[14], blur[15]],
    [1, 1, 1, 1].map((_, i) => {
      return weight(0) ** (2 - [0, 1, 1, 2][i]) * weight(1) ** [0, 1, 1, 2][i];
    }),
    1e-6,
  );
  assertClose([blur[24 + 6 + 4]], [0.5 * weight(1) * (weight(0) + 2 * weight(1))], 1e-6);
  assert.equal(blur[24 + 6], 0, "nothing wraps around");
  assertClose(blurred(images, size, 1e-3), images, 1e-6);
});

Deno.test("grainy() adds noise of its strength, the same for the same seed and draw", () => {
  const grey = new Float32Array(2000).fill(0.5);
  const noise = grainy(grey, 0.1, 1).map((value) => value - 0.5);
  assert.ok(Math.abs(Math.hypot(...noise) / Math.sqrt(2000) - 0.1) < 0.01);
  assert.deepEqual(grainy(grey, 0.1, 1), grainy(grey, 0.1, 1, 0));
  assert.notDeepEqual(grainy(grey, 0.1, 1), grainy(grey, 0.1, 1, 1));
  assert.ok(grainy(grey, 1, 1).every((value) => value >= 0 && value <= 1), "clipped");
});

Deno.test("thinned() keeps what has bright neighbours, and darkens the rest by a share", () => {
  const cross = new Float32Array(24);
  for (const i of [2, 7, 8, 9, 14]) cross[i] = 1;
  assert.deepEqual([...thinned(cross, size, 1).keys()].filter((i) => thinned(cross, size, 1)[i] > 0), [8]);
  assertClose(thinned(cross, size, 0.25), cross.map((value, i) => i === 8 ? 1 : 0.75 * value), 1e-6);
  assertSameNumbers(thinned(images, size, 0), images);
});

Deno.test("broken() moves the lower half of each image to the right", () => {
  const moved = broken(images.map((_, i) => i % 24), size, 2);
  assert.deepEqual(
    [...moved.subarray(24, 36)],
    Array.from({ length: 12 }, (_, i) => i),
    "the upper half stays",
  );
  assert.deepEqual([...moved.subarray(36)], [0, 0, 12, 13, 14, 15, 0, 0, 18, 19, 20, 21]);
});
