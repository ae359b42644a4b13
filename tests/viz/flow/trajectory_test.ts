import assert from "node:assert/strict";
import { checkTrajectory, evenTimes, type Trajectory } from "../../../viz/mod.ts";

const trajectory: Trajectory = {
  t: Float32Array.of(0, 1),
  image: new Float32Array(2 * 3 * 4),
  velocity: new Float32Array(3 * 4),
  shape: [2, 3, 2, 2],
};

Deno.test("checkTrajectory() accepts one and three channels, and says which array does not fit", () => {
  checkTrajectory("test", trajectory);
  checkTrajectory("test", { ...trajectory, shape: [2, 1, 4, 3] });
  checkTrajectory("test", { ...trajectory, shape: [2, 4, 3] });
  assert.throws(() => checkTrajectory("test", { ...trajectory, shape: [2, 3, 2, 3] }), {
    name: "RangeError",
    message: "Cannot test: image holds 24 values (expected 36 for [M, C, H, W] = [2,3,2,3])",
  });
  assert.throws(() => checkTrajectory("test", { ...trajectory, shape: [2, 4, 3, 1] }), {
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
