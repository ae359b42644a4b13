import assert from "node:assert/strict";
import { overfitting, resolveOverfitConfig } from "../../../../experiments/settings/tasks/overfit.ts";

Deno.test("resolveOverfitConfig() completes the flags and checks the network", () => {
  assert.equal(resolveOverfitConfig(overfitting.parse(["--images", "10"])).images, 10);
  assert.deepEqual(resolveOverfitConfig(overfitting.parse([])).filters, [16, 32]);
  assert.throws(
    () => resolveOverfitConfig(overfitting.parse(["--filters", "6"])),
    /^ConfigError: Cannot use --groups 8 with --filters 6/,
  );
});
