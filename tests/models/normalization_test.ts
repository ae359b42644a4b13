import assert from "node:assert/strict";
import { asBytes, fromPixels, snapshotToPixels, toPixels, velocityToPixels } from "../../models/mod.ts";
import { assertClose } from "../testing.ts";

const normalization = { scale: 2, shift: -1 };

Deno.test("toPixels() is the inverse of fromPixels(), and keeps what lies beyond black and white", () => {
  const pixels = Float32Array.of(-0.5, 0, 0.25, 1, 1.5);
  assert.deepEqual(fromPixels(pixels, normalization), Float32Array.of(-2, -1, -0.5, 1, 2));
  assert.deepEqual(toPixels(fromPixels(pixels, normalization), normalization), pixels);
});

Deno.test("snapshotToPixels() scales velocities without shifting them", () => {
  const [image, velocity] = [Float32Array.of(-1, 1), Float32Array.of(-1, 3)];
  assert.deepEqual(velocityToPixels(velocity, normalization), Float32Array.of(-0.5, 1.5));
  assert.deepEqual(snapshotToPixels({ t: 0.3, image, velocity }, normalization), {
    t: 0.3,
    image: Float32Array.of(0, 1),
    velocity: Float32Array.of(-0.5, 1.5),
  });
  assert.deepEqual(snapshotToPixels({ t: 1, image }, normalization), {
    t: 1,
    image: Float32Array.of(0, 1),
  });
});

Deno.test("asBytes() rounds to the levels of a file, and cuts what is beyond black and white", () => {
  const levels = asBytes(Float32Array.of(-0.2, 0, 0.3, 100.4 / 255, 1, 1.7)).map((pixel) => pixel * 255);
  assertClose(levels, [0, 0, 77, 100, 255, 255], 1e-4);
});
