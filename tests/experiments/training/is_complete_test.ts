import assert from "node:assert/strict";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { type RunRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { isComplete } from "../../../experiments/training/run_training.ts";
import { testInFolder } from "../../folder.ts";

const record: RunRecord = {
  ...{ id: "an id", name: "a run", experiment: "x", status: "FINISHED", startedAt: 1, endedAt: 2 },
  ...{ reason: null, user: null, source: "a test", gitBranch: null, parameterCount: null },
  ...{ dataset: null, standsFor: null },
};

testInFolder("isComplete() goes by the record, or by test loss and report in a run of 0.1", async (run) => {
  assert.equal(await isComplete(run, 7), false);
  appendMetrics(`${run}/metrics.jsonl`, { step: 7, test_loss: 1 });
  assert.equal(await isComplete(run, 7), false, "no report");
  await Deno.writeTextFile(`${run}/report.html`, "");
  assert.equal(await isComplete(run, 7), true, "without a record");
  assert.equal(await isComplete(run, 8), false, "of another step");
  await writeRecord(run, { ...record, status: "RUNNING", endedAt: null });
  assert.equal(await isComplete(run, 7), false, "it goes on");
  await writeRecord(run, record);
  assert.equal(await isComplete(run, 7), true);
});
