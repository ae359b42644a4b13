import assert from "node:assert/strict";
import { resultsOf } from "../../../experiments/report/facts.ts";

Deno.test("resultsOf() finds the best of more validation losses than a function takes arguments", () => {
  const metrics = Array.from({ length: 200_000 }, (_, n) => ({ step: n, val_loss: 1 + (n - 1000) ** 2 }));
  const run = { config: {}, environment: {}, metrics, parameters: undefined, record: undefined };
  const facts = new Map(resultsOf(run));
  assert.equal(facts.get("Best validation loss"), "1.0000");
});
