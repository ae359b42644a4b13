import assert from "node:assert/strict";
import { trainingConfig } from "../../../experiments/settings/training_config.ts";
import { type CellMeasures, milestonesOf, resultOf } from "../../../experiments/study/cell_result.ts";
import { testInFolder } from "../../folder.ts";
import { cellOf } from "./tiny_study.ts";

testInFolder("resultOf() knows the seconds of milestones between the lines of the log", async (folder) => {
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify(trainingConfig({ model: "base", batchSize: 8 })),
  );
  const lines = [[20, 4], [40, 8], [60, 8], [64, 10]].map(([step, elapsed_seconds]) => ({
    step,
    elapsed_seconds,
  }));
  const log = [...lines, { step: 64, "eval/frechet": 3 }].map((line) => JSON.stringify(line) + "\n");
  await Deno.writeTextFile(`${folder}/metrics.jsonl`, log.join(""));
  const milestones = [5, 20, 30, 60].map((step) => ({ step, frechet: 9 }));
  const frechet = { value: 7, low: 6, high: 8, evaluations: 0, seconds: 0 };
  const evaluation = { figures: { frechet } } as unknown as CellMeasures["evaluation"];
  const measures = { evaluation, costs: [], milestones };
  const { seconds, course } = await resultOf(folder, { ...cellOf("base-s1"), steps: 64 }, measures);
  assert.equal(seconds, 10);
  assert.deepEqual(
    course?.map(({ seconds }) => seconds),
    [1, 4, 6, 8, 10],
    "none is free before the first line",
  );
});

Deno.test("milestonesOf() halves the training as often as possible, the earliest step first", () => {
  assert.deepEqual(milestonesOf(1000, 3), [125, 250, 500]);
  assert.deepEqual(milestonesOf(1001, 1), [501]);
  assert.deepEqual(milestonesOf(1000), []);
  assert.deepEqual(milestonesOf(6, 20), [1, 2, 3]);
  assert.deepEqual(milestonesOf(1, 4), []);
});
