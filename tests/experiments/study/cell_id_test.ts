import assert from "node:assert/strict";
import { cellId, withoutClash, withoutSeed } from "../../../experiments/study/cell_id.ts";

Deno.test("cellId() names a cell by the settings in which it differs", () => {
  assert.equal(cellId({ model: "residual", attn: false }, 1), "residual-attention-off-s1");
  assert.equal(
    cellId({ model: "base", attn: true, match: "parameters" }, 2),
    "base-attention-on-matched-parameters-s2",
  );
  assert.equal(cellId({ filters: "8,16,32", share: 0.25 }, 3), "filters-8-16-32-share-0.25-s3");
  assert.equal(cellId({ times: "u_shaped:a=2", batchSize: 64 }, 1), "times-u_shaped-a-2-batch-size-64-s1");
  assert.equal(cellId({}, 1), "default-s1");
});

Deno.test("withoutClash() puts a number before the seed, and withoutSeed() takes the seed off", () => {
  assert.equal(withoutClash("base-s1", []), "base-s1");
  assert.equal(withoutClash("base-s1", ["base-s1", "base-2-s1"]), "base-3-s1");
  assert.equal(withoutSeed("base-3-s12"), "base-3");
});
