import assert from "node:assert/strict";
import {
  figureKeys,
  figureMeanings,
  figureNames,
  figuresByKey,
  metricOf,
} from "../../../experiments/evaluation/figures.ts";
import { isResult, metricWords, sortedMetrics } from "../../../experiments/tracking/metric_words.ts";

const row = (
  names: readonly string[],
  words: string,
) => [names.map((name) => `\`${name}\``).join(", "), words];
/** The rows of the docs: losses, a figure with its names by all judges, and all others. */
const all = Object.keys(metricWords).map((name) => row([name], metricWords[name]));
const figures = figureNames.map((figure) => {
  const keys = figureKeys.filter((key) => figuresByKey.get(key)!.name === figure);
  return row(keys.map(metricOf), figureMeanings[figure].title);
});
const rows = [...all.slice(0, 3), ...figures, ...all.slice(3)];

Deno.test("docs/tracking.md has a table of all metrics with their descriptions", async () => {
  const docs = await Deno.readTextFile(new URL("../../../docs/tracking.md", import.meta.url));
  const table = docs.split("\n").filter((line) => /^\| `(?!MLFLOW)/.test(line));
  assert.deepEqual(table.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim())), rows);
});

Deno.test("sortedMetrics() puts losses first, then figures in logging order, and other metrics last", () => {
  const metrics = [
    "mine",
    "learning_rate",
    "eval/frechet",
    "eval/frechet_low",
    "val_loss",
    "eval/density",
    "test_loss",
  ];
  const sorted = sortedMetrics(metrics);
  const figures = ["eval/frechet", "eval/frechet_low", "eval/density"];
  assert.deepEqual(sorted, ["test_loss", "val_loss", ...figures, "mine", "learning_rate"]);
  assert.deepEqual(sorted.filter(isResult), [
    "test_loss",
    "val_loss",
    "eval/frechet",
    "eval/density",
    "mine",
  ]);
});
