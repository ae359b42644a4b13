import assert from "node:assert/strict";
import { trainingConfig } from "../../../experiments/settings/tasks/train_config.ts";
import type { CellMeasures } from "../../../experiments/study/evaluate_cell.ts";
import { readStudyRecord, writeStudyRecord } from "../../../experiments/study/record.ts";
import { recordOf } from "../../../experiments/study/run_cell.ts";
import { testInFolder } from "../../folder.ts";
import { cellOf } from "./tiny_study.ts";

testInFolder("recordOf() notes in which order the test images were", async (folder) => {
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify(trainingConfig({ model: "base", batchSize: 8 })),
  );
  const measured = async (testOrder: CellMeasures["testOrder"]) => {
    const evaluation = { figures: {} } as CellMeasures["evaluation"];
    const measures = { evaluation, costs: [], milestones: [], testOrder };
    await writeStudyRecord(folder, await recordOf(folder, cellOf("base-s1"), measures));
    return await readStudyRecord(folder);
  };
  const record = await measured(undefined);
  assert.deepEqual([record?.images, record && "testOrder" in record], [80, false]);
  assert.deepEqual(await measured("random"), { ...record, testOrder: "random" });
});
