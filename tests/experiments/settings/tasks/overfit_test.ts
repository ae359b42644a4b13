import assert from "node:assert/strict";
import {
  overfitting,
  resolveOverfitConfig,
  trainingConfigOf,
} from "../../../../experiments/settings/tasks/overfit.ts";

Deno.test("resolveOverfitConfig() completes the flags and checks the network", () => {
  assert.equal(resolveOverfitConfig(overfitting.parse(["--images", "10"])).images, 10);
  assert.deepEqual(resolveOverfitConfig(overfitting.parse([])).filters, [16, 32]);
  assert.throws(
    () => resolveOverfitConfig(overfitting.parse(["--filters", "6"])),
    /^ConfigError: Cannot use --groups 8 with --filters 6/,
  );
});

Deno.test("trainingConfigOf() takes an optimizer that fits the network, as training does", () => {
  const optimizerOf = (...words: string[]) =>
    trainingConfigOf(resolveOverfitConfig(overfitting.parse(words))).optimizer;
  assert.equal(optimizerOf(), "muon");
  assert.equal(optimizerOf("--model", "base", "--filters", "4,8"), "adamw");
  assert.equal(optimizerOf("--model", "base", "--filters", "8,16"), "muon");
});
