import assert from "node:assert/strict";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { type RunRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { isComplete } from "../../../experiments/training/session.ts";
import { testInFolder } from "../../folder.ts";

const record: RunRecord = {
  ...{ id: "an id", name: "a run", experiment: "x", status: "FINISHED", startedAt: 1, endedAt: 2 },
  ...{ reason: null, user: null, source: "a test", gitBranch: null, parameterCount: null },
  ...{ dataset: null, standsFor: null },
};

testInFolder("isComplete() needs a finished record, the test loss and the report", async (run) => {
  assert.equal(await isComplete(run, 7), false);
  appendMetrics(`${run}/metrics.jsonl`, { step: 7, test_loss: 1 });
  assert.equal(await isComplete(run, 7), false, "no report");
  await Deno.writeTextFile(`${run}/report.html`, "");
  assert.equal(await isComplete(run, 7), false, "without a record");
  assert.equal(await isComplete(run, 8), false, "of another step");
  await writeRecord(run, { ...record, status: "RUNNING", endedAt: null });
  assert.equal(await isComplete(run, 7), false, "it goes on");
  await writeRecord(run, record);
  assert.equal(await isComplete(run, 7), true);
});
