import assert from "node:assert/strict";
import { milestonesOf } from "../../../experiments/study/milestones.ts";

Deno.test("milestonesOf() halves the training as often as is asked, and ends with the earliest step", () => {
  assert.deepEqual(milestonesOf(1000, 3), [125, 250, 500]);
  assert.deepEqual(milestonesOf(1001, 1), [501]);
  assert.deepEqual(milestonesOf(1000), []);
  assert.deepEqual(milestonesOf(6, 20), [1, 2, 3]);
  assert.deepEqual(milestonesOf(1, 4), []);
});
