/** The length of a run, its learning rate, and what it measures on the way. */

import assert from "node:assert/strict";
import type { TrainingConfig } from "../../../experiments/cli/training.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { appendMetrics } from "../../../experiments/run/metrics_log.ts";
import { isComplete } from "../../../experiments/training/checkpoint.ts";
import { LossLog, SampleGrids, stepsBetween, Validation } from "../../../experiments/training/measures.ts";
import type { PreparedTraining } from "../../../experiments/training/prepare_training.ts";
import { RunSchedule } from "../../../experiments/training/schedule.ts";
import { BatchOrder } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { upTo } from "../../refusing.ts";
import { writeRun } from "../tracking/sessions.ts";

/** Epochs of two steps. */
const order = new BatchOrder(Uint32Array.from(upTo(64)), 32, 1);
const scheduleOf = (values: Partial<TrainingConfig>) =>
  new RunSchedule(trainingConfig({ model: "base", schedule: "cosine", warmUp: 0, lr: 1, ...values }), order);

/** Trains by a clock on which a step takes the seconds that `cost` says. */
function train(schedule: RunSchedule, cost: (step: number) => number, from = { step: 0, seconds: 0 }) {
  let { step, seconds } = from;
  const rates: number[] = [];
  const settings = [schedule.settings];
  schedule.follow(step, seconds);
  while (step < schedule.totalSteps && step < 10_000) {
    rates.push(schedule.learningRate(step));
    seconds += cost(step++);
    if (schedule.follow(step, seconds)) settings.push(schedule.settings);
  }
  return { step, seconds, rates, settings, missed: schedule.end(seconds) };
}

const speeds: Readonly<Record<string, (step: number) => number>> = {
  "an even speed": () => 0.1,
  "slow first steps": (step) => step < 20 ? 0.5 : 0.05,
  "fast first steps": (step) => step < 100 ? 0.02 : 0.1,
  "validations between steps": (step) => step % 50 === 0 ? 2 : 0.1,
  "steps of seconds": () => 7,
};
Deno.test("RunSchedule ends a run after its minutes, at any speed, and repeats it to the bit", () => {
  for (const [name, cost] of Object.entries(speeds)) {
    const { step, seconds, rates, settings, missed } = train(scheduleOf({ maxMinutes: 1 }), cost);
    assert.ok(Math.abs(seconds - 60) <= 6, `${name}: ${seconds} seconds`);
    assert.equal(missed, undefined);
    const falls = rates.every((rate, i) => rate <= (rates[i - 1] ?? 1)) && rates.at(-1)! < 0.01;
    assert.ok(falls, `${name}: ${rates}`);
    const last = settings.at(-1)!;
    assert.deepEqual([last.maxSteps, last.maxMinutes], [step, 0], name);
    assert.equal(`${train(scheduleOf(last), () => 1).rates}`, `${rates}`, name);
    // A session that was killed knows the estimates that were made after its checkpoint, and makes no others till then.
    for (const earlier of settings.slice(1, -1)) {
      const known = earlier.replans!.at(-2)!, at = Math.ceil(known / 2);
      const resumed = scheduleOf({ ...earlier, maxMinutes: 1 });
      const rest = train(resumed, cost, { step: at, seconds: at * seconds / step });
      const before = rest.rates.slice(0, known - at);
      assert.ok(before.every((rate, i) => rate === rates[at + i]), `${name}: ${known}`);
    }
  }
  const late = train(scheduleOf({ maxMinutes: 1 }), (step) => step < 400 ? 0.1 : 0.2);
  assert.match(late.missed!, /^Trained for \d+ seconds instead of 60 seconds: /);
  const short = train(scheduleOf({ maxMinutes: 1, maxSteps: 30 }), () => 0.1);
  assert.deepEqual([short.step, short.missed], [30, undefined]);
  assert.deepEqual(scheduleOf({ maxSteps: 30 }).settings, {}, "a run limited by steps keeps its settings");
});

Deno.test("RunSchedule has the rates of its schedule from the first to the last step", () => {
  const down = (share: number) => (1 + Math.cos(Math.PI * share)) / 2;
  const least = 1 / 25 / 1e4;
  const expected: [values: Partial<TrainingConfig>, rates: number[]][] = [
    [{ schedule: "constant", warmUp: 0.5 }, [0, 1 / 2, 1, 1, 1]],
    [{ schedule: "cosine" }, upTo(5).map((step) => down(step / 4))],
    [
      { schedule: "one_cycle", warmUp: 0.25 },
      [1 / 25, ...upTo(4).map((step) => least + (1 - least) * down(step / 3))],
    ],
  ];
  for (const [values, rates] of expected) {
    const schedule = scheduleOf({ ...values, maxSteps: 5 });
    rates.forEach((rate, step) => assert.ok(Math.abs(schedule.learningRate(step) - rate) < 1e-12));
  }
});

Deno.test("RunSchedule.resume() refuses a length at which the rate would jump, and ends after its minutes", () => {
  const recentSteps = { losses: [], gradientNorms: [], open: 0 };
  const progress = { validatedStep: 0, schedule: {}, dataDigest: "", recentSteps };
  const cosine = { schedule: "cosine" } as const;
  const cases: [earlier: Partial<TrainingConfig>, changed: Partial<TrainingConfig>, refused?: RegExp][] = [
    [
      { schedule: "one_cycle" },
      { maxSteps: 8 },
      /^Cannot resume run for 8 steps: .* laid out for 4 steps, .*jump from /,
    ],
    [cosine, { maxSteps: 0, maxMinutes: 9 }, /^Cannot resume run for 9 minutes: .*\(expected --lr X /],
    [cosine, { maxSteps: 5 }], // its last rate is that of the end, too
    [cosine, { maxSteps: 8, lr: 0.002 }],
    [cosine, { maxSteps: 8, schedule: "constant" }],
    [{ schedule: "constant" }, { maxSteps: 8 }],
  ];
  for (const [values, changed, refused] of cases) {
    const earlier = { ...values, maxSteps: 4 };
    const schedule = scheduleOf({ ...earlier, ...changed });
    const resume = () =>
      schedule.resume("run", scheduleOf(earlier).config, { ...progress, step: 4, elapsedSeconds: 1 });
    if (refused) assert.throws(resume, { name: "TrainingError", message: refused });
    else resume();
  }
  for (const [elapsedSeconds, steps] of [[0, Infinity], [59, Infinity], [60, 7], [90, 7]]) {
    const schedule = scheduleOf({ maxMinutes: 1 });
    schedule.resume("run", schedule.config, { ...progress, step: 7, elapsedSeconds });
    assert.equal(schedule.totalSteps, steps, `${elapsedSeconds} seconds`);
  }
});

Deno.test("RunSchedule.stepAfter() is known in advance, and the same when a run is repeated", () => {
  assert.equal(scheduleOf({ maxSteps: 31 }).stepAfter(1 / 6), 6);
  assert.equal(scheduleOf({ epochs: 6 }).stepAfter(1 / 6), 2);
  const minutes = { maxMinutes: 1 };
  assert.equal(scheduleOf(minutes).stepAfter(1 / 6), Infinity);
  const cases: [replans: number[], step: number][] = [
    [[5, 600], 100],
    [[5, 60, 8, 600], 100],
    [[5, 60, 12, 600], 10], // the length changed later
    [[5, 600, 50, 120], 51],
  ];
  for (const [replans, step] of cases) {
    assert.equal(scheduleOf({ ...minutes, replans }).stepAfter(1 / 6), step, `${replans}`);
    assert.equal(scheduleOf({ maxSteps: replans.at(-1)!, replans }).stepAfter(1 / 6), step, `${replans}`);
  }
});

/** Adds steps to a log, with losses and norms derived from their number. @returns the lines */
const add = (log: LossLog, from: number, to: number) =>
  upTo(to).slice(from).flatMap((step) =>
    log.add(step, { loss: step, gradientNorm: 10 * step }, step / 100) ?? []
  );

Deno.test("LossLog averages the steps of each line, also of one that a resumed run completes", () => {
  const logOf = (every: number) => new LossLog(order, every, () => "advice");
  const first = logOf(3);
  const line = { step: 3, epoch: 1, train_loss: 1, learning_rate: 0.02, gradient_norm: 10 };
  assert.deepEqual(add(first, 0, 5), [line]);
  const second = logOf(3);
  second.restore(JSON.parse(JSON.stringify(first.recent)));
  const next = { step: 6, epoch: 3, train_loss: 4, learning_rate: 0.05, gradient_norm: 40 };
  assert.deepEqual(add(second, 5, 7), [next]);
  // The last line averages a tenth of the run, at most the steps of a line.
  const cases = [[20, 0, undefined], [20, 10, 5], [20, 25, 2.5], [20, 101, 5.5], [20, 201, 10], [
    5,
    201,
    2.5,
  ]];
  for (const [every, steps = 0, half] of cases) {
    const log = logOf(every!);
    add(log, 0, steps);
    const last = log.end(steps, 1);
    assert.equal(last && steps - 0.5 - Number(last.train_loss), half, `${steps}`); // half the number of steps
    assert.equal(log.end(steps, 1), undefined);
  }
});

testInFolder("isComplete() needs a finished record, the test loss and the report", async (run) => {
  const check = async (expected: boolean, what: string) =>
    assert.equal(await isComplete(run, 7), expected, what);
  await check(false, "no log");
  appendMetrics(`${run}/metrics.jsonl`, { step: 7, test_loss: 1 });
  await writeRun(run);
  await check(false, "no report");
  await Deno.writeTextFile(`${run}/report.html`, "");
  await check(true, "complete");
  assert.equal(await isComplete(run, 8), false, "at another step");
  await writeRun(run, { status: "RUNNING", endedAt: null });
  await check(false, "the run is open again");
  await Deno.remove(`${run}/run.json`);
  await check(false, "without a record");
});

Deno.test("validations and grids take a twentieth of the time, and the lowest loss is never NaN", () => {
  const cases: [batches: number, totalSteps: number, steps: number][] = [
    [16, 8000, 400],
    [16, Infinity, 400],
    [200, 8000, 1010], // a quarter of a step each and half a step for files, 5 % of the time
    [4, 160, 33], // 33, 66, 99, 132
    [16, 60, 90],
  ];
  for (const [batches, totalSteps, steps] of cases) {
    assert.equal(stepsBetween(batches, totalSteps, 4), steps, `${batches} in ${totalSteps}`);
  }
  const preparedOf = (values: object) => values as PreparedTraining;
  const everySteps = [1, 2].map((guidance) => {
    const config = { samples: 10, batchSize: 8, solver: "euler:steps=120", guidance, seed: 1 };
    const prepared = preparedOf({ config, network: { averaged: {} }, source: { classes: 10 } });
    return new SampleGrids(prepared).everySteps(Infinity);
  });
  assert.deepEqual(everySteps, [760, 1510]); // 120 x 10 / 8 batches, once or, guided, twice
  const validation = new Validation(
    preparedOf({ config: { valBatches: 0, batchSize: 1 }, images: { validation: [0] } }),
  );
  const lowest = [NaN, 2, NaN, 3, 1].map((loss, i) => validation.note(i + 1, loss));
  assert.deepEqual(lowest, [false, true, false, false, true]);
  assert.deepEqual([validation.lowest, validation.loss, validation.step], [1, 1, 5]);
});
