import assert from "node:assert/strict";
import { isResult, metricWords, sortedMetrics } from "../../../experiments/tracking/metric_words.ts";

/** The rows of the docs: a figure that each judge measures has one row. */
const rows = [
  ...Map.groupBy(Object.keys(metricWords), (name) => metricWords[name].replace(/ \((lenet|vgg)\)$/, "")),
].map(([words, names]) => [names.map((name) => `\`${name}\``).join(", "), words]);

Deno.test("docs/tracking.md has a table of all metrics in the words of the docs", async () => {
  const docs = await Deno.readTextFile(new URL("../../../docs/tracking.md", import.meta.url));
  const table = docs.split("\n").filter((line) => /^\| `(?!MLFLOW)/.test(line));
  assert.deepEqual(table.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim())), rows);
});

Deno.test("sortedMetrics() has results first, intervals beside their figures, and the unknown last", () => {
  const metrics = [
    "mine",
    "learning_rate",
    "eval/vgg/frechet",
    "eval/frechet_low",
    "val_loss",
    "eval/frechet",
    "test_loss",
  ];
  const sorted = sortedMetrics(metrics);
  assert.deepEqual(sorted, [
    "test_loss",
    "val_loss",
    "eval/frechet_low",
    "eval/frechet",
    "eval/vgg/frechet",
    "learning_rate",
    "mine",
  ]);
  assert.deepEqual(sorted.filter(isResult), [
    "test_loss",
    "val_loss",
    "eval/frechet",
    "eval/vgg/frechet",
    "mine",
  ]);
});
