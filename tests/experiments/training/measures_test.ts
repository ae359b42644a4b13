import assert from "node:assert/strict";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { type RunRecord, writeRecord } from "../../../experiments/tracking/record.ts";
import { isComplete } from "../../../experiments/training/checkpoint.ts";
import { LossLog, SampleGrids, Validation } from "../../../experiments/training/measures.ts";
import type { PreparedTraining } from "../../../experiments/training/prepare_training.ts";
import { BatchOrder } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";

const order = new BatchOrder(Uint32Array.from({ length: 8 }, (_, i) => i), 4, 1);
const logOf = (every: number) => new LossLog(order, every, () => "advice");

/** Adds steps with losses and norms derived from their number. @returns the lines */
function add(log: LossLog, from: number, to: number) {
  const steps = Array.from({ length: to - from }, (_, i) => from + i);
  return steps.flatMap((step) => log.add(step, { loss: step, gradientNorm: 10 * step }, step / 100) ?? []);
}

Deno.test("LossLog averages the losses and gradient norms of each line's steps", () => {
  const log = logOf(3);
  assert.deepEqual(add(log, 0, 7), [
    { step: 3, epoch: 1, train_loss: 1, learning_rate: 0.02, gradient_norm: 10 },
    { step: 6, epoch: 3, train_loss: 4, learning_rate: 0.05, gradient_norm: 40 },
  ]);
  assert.equal(log.recent.open, 1);
});

Deno.test("LossLog.end() averages over a tenth of the run, at most the steps of a line", () => {
  const means = [[20, 0], [20, 10], [20, 25], [20, 101], [20, 201], [5, 201]].map(([every, steps]) => {
    const log = logOf(every);
    add(log, 0, steps);
    const line = log.end(steps, 1);
    assert.equal(log.end(steps, 1), undefined);
    return line && steps - 0.5 - Number(line.train_loss); // half the number of steps
  });
  assert.deepEqual(means, [undefined, 5, 2.5, 5.5, 10, 2.5]);
});

Deno.test("LossLog.restore() continues in the middle of a line", () => {
  const whole = logOf(4);
  const lines = [...add(whole, 0, 9), whole.end(9, 1)];
  const first = logOf(4);
  const early = add(first, 0, 6);
  const second = logOf(4);
  second.restore(JSON.parse(JSON.stringify(first.recent)));
  assert.deepEqual([...early, ...add(second, 6, 9), second.end(9, 1)], lines);
});

const record: RunRecord = {
  ...{
    version: 1,
    id: "an id",
    name: "a run",
    experiment: "x",
    status: "FINISHED",
    startedAt: 1,
    endedAt: 2,
  },
  ...{ reason: null, user: null, source: "a test", gitBranch: null, parameterCount: null },
  dataset: null,
};

testInFolder("isComplete() needs a finished record, the test loss and the report", async (run) => {
  assert.equal(await isComplete(run, 7), false);
  appendMetrics(`${run}/metrics.jsonl`, { step: 7, test_loss: 1 });
  assert.equal(await isComplete(run, 7), false, "no report");
  await Deno.writeTextFile(`${run}/report.html`, "");
  assert.equal(await isComplete(run, 7), false, "without a record");
  assert.equal(await isComplete(run, 8), false, "at another step");
  await writeRecord(run, { ...record, status: "RUNNING", endedAt: null });
  assert.equal(await isComplete(run, 7), false, "the run is open again");
  await writeRecord(run, record);
  assert.equal(await isComplete(run, 7), true);
});

const preparedOf = (values: object) => values as PreparedTraining;

Deno.test("Validation.note() finds the lowest loss, which is never NaN", () => {
  const validation = new Validation(
    preparedOf({ config: { valBatches: 0, batchSize: 1 }, images: { validation: [0] } }),
  );
  const lowest = [NaN, 2, NaN, 3, 1].map((loss, i) => validation.note(i + 1, loss));
  assert.deepEqual(lowest, [false, true, false, false, true]);
  assert.deepEqual([validation.lowest, validation.loss, validation.step], [1, 1, 5]);
});

Deno.test("SampleGrids.everySteps() counts both evaluations of guidance", () => {
  const stepsOf = (guidance: number) => {
    const config = { samples: 10, batchSize: 8, solver: "euler:steps=120", guidance, seed: 1 };
    return new SampleGrids(preparedOf({ config, network: { averaged: {} }, source: { classes: 10 } }))
      .everySteps(Infinity);
  };
  assert.deepEqual([stepsOf(1), stepsOf(2)], [760, 1510]); // 120 x 10 / 8 batches, a quarter of a step each, in 5 %
});
