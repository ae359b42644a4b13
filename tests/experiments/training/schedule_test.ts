/** The length of a run, its learning rate, and the last line of its log. */

import assert from "node:assert/strict";
import { LossLog } from "../../../experiments/training/measures.ts";
import { RunSchedule } from "../../../experiments/training/schedule.ts";
import { BatchOrder } from "../../../models/mod.ts";
import type { RunConfig, RunLength } from "../../../experiments/settings/run_config.ts";
import { upTo } from "../../refusing.ts";
import { configOf, type WrittenSettings } from "../config_of.ts";

const order = new BatchOrder(Uint32Array.from(upTo(64)), 32, 1);
const scheduleOf = (values: WrittenSettings) =>
  new RunSchedule(configOf({ model: "base", schedule: "cosine", warmUp: 0, lr: 1, ...values }), order);
/** A schedule of a run of this length. */
const withLength = (length: RunLength) =>
  new RunSchedule({ ...scheduleOf({ maxMinutes: 1 }).config, length }, order);

/** Trains by a clock on which a step takes the seconds that `cost` says. */
function train(schedule: RunSchedule, cost: (step: number) => number, from = { step: 0, seconds: 0 }) {
  let { step, seconds } = from;
  const rates: number[] = [];
  const lengths = [schedule.length];
  schedule.follow(step, seconds);
  while (step < schedule.totalSteps && step < 10_000) {
    rates.push(schedule.learningRate(step));
    seconds += cost(step++);
    if (schedule.follow(step, seconds)) lengths.push(schedule.length);
  }
  return { step, seconds, rates, lengths, missed: schedule.end(seconds) };
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
    const { step, seconds, rates, lengths, missed } = train(scheduleOf({ maxMinutes: 1 }), cost);
    assert.ok(Math.abs(seconds - 60) <= 6, `${name}: ${seconds} seconds`);
    assert.equal(missed, undefined);
    const falls = rates.every((rate, i) => rate <= (rates[i - 1] ?? 1)) && rates.at(-1)! < 0.01;
    assert.ok(falls, `${name}: ${rates}`);
    const last = lengths.at(-1)!;
    assert.deepEqual([last.steps, last.minutes], [step, 0], name);
    assert.equal(`${train(withLength(last), () => 1).rates}`, `${rates}`, name);
    // A session that was killed knows the estimates that were made after its checkpoint, and makes no others till then.
    for (const earlier of lengths.slice(1, -1)) {
      const known = earlier.replans.at(-1)!.step;
      const at = Math.ceil(known / 2);
      const resumed = withLength({ ...earlier, minutes: 1 });
      const rest = train(resumed, cost, { step: at, seconds: at * seconds / step });
      const before = rest.rates.slice(0, known - at);
      assert.ok(before.every((rate, i) => rate === rates[at + i]), `${name}: ${known}`);
    }
  }
  const late = train(scheduleOf({ maxMinutes: 1 }), (step) => step < 400 ? 0.1 : 0.2);
  assert.match(late.missed!, /^Trained for \d+ seconds instead of 60 seconds: /);
  // Half the speed after 25 seconds: no estimate is made any more.
  const slower = train(scheduleOf({ maxMinutes: 1 }), (step) => step < 250 ? 0.1 : 0.2);
  const estimated = slower.lengths.at(-1)!.replans.map(({ step }) => 0.1 * step);
  assert.ok(Math.max(...estimated) <= 20.1, `until a third of the time: ${estimated}`);
  const short = train(scheduleOf({ maxMinutes: 1, maxSteps: 30 }), () => 0.1);
  assert.deepEqual([short.step, short.missed], [30, undefined]);
  const fixed = scheduleOf({ maxSteps: 30 });
  assert.equal(fixed.length, fixed.config.length, "a run limited by steps keeps its length");
});

Deno.test("RunSchedule.resume() refuses a length at which the rate would jump, and ends after its minutes", () => {
  const recentSteps = { losses: [], gradientNorms: [], open: 0 };
  const progress = { validatedStep: 0, schedule: {}, dataDigest: "", recentSteps };
  const cosine = { schedule: "cosine" } as const;
  const resumed = (config: RunConfig, setsRate = false) =>
    ({ kind: "resume", run: "run", earlier: config, setsRate }) as const;
  const refusal = (start: string) =>
    new RegExp(
      `^Cannot resume run for ${start}, so the learning rate would jump from .* \\(expected --lr \\d`,
    );
  const laidOut = "laid out for 4 steps";
  const cases: [earlier: WrittenSettings, changed: WrittenSettings, refused?: RegExp][] = [
    [{ schedule: "one_cycle" }, { maxSteps: 8 }, refusal(`8 steps: its schedule one_cycle is ${laidOut}`)],
    [cosine, { maxSteps: 0, maxMinutes: 9 }, refusal(`9 minutes: its schedule cosine is ${laidOut}`)],
    [cosine, { maxSteps: 5 }], // its last rate is that of the end, too
    [cosine, { maxSteps: 8, schedule: "constant" }, refusal("8 steps: it had the schedule cosine")],
    [{ schedule: "constant" }, { maxSteps: 8 }],
  ];
  for (const [values, changed, refused] of cases) {
    const earlier = { ...values, maxSteps: 4 };
    const schedule = scheduleOf({ ...earlier, ...changed });
    const resume = () =>
      schedule.resume(resumed(scheduleOf(earlier).config), { ...progress, step: 4, elapsedSeconds: 1 });
    if (refused) assert.throws(resume, { name: "TrainingError", message: refused });
    else assert.equal(resume(), undefined);
  }
  const half = { ...progress, step: 50, elapsedSeconds: 1 };
  const earlier = scheduleOf({ ...cosine, maxSteps: 100 }).config;
  const resumeFor = (maxSteps: number) => () =>
    scheduleOf({ ...cosine, maxSteps }).resume(resumed(earlier), half);
  assert.throws(resumeFor(105), { message: /jump from 0\.49\d to 0\.53\d / }, "by 8 %");
  assert.throws(resumeFor(101), { message: /jump from / }, "by 1.6 %");
  const withRate = scheduleOf({ maxSteps: 100, schedule: "constant", lr: 0.25 });
  assert.equal(
    withRate.resume(resumed(earlier, true), half),
    "--lr moves the learning rate from 0.492 to 0.250",
  );
  for (const [elapsedSeconds, steps] of [[0, Infinity], [59, Infinity], [60, 7], [90, 7]]) {
    const schedule = scheduleOf({ maxMinutes: 1 });
    assert.equal(
      schedule.resume(resumed(schedule.config), { ...progress, step: 7, elapsedSeconds }),
      undefined,
    );
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

Deno.test("the last line of a log averages a tenth of the run, at most the steps of a line", () => {
  const cases = [[20, 0, undefined], [20, 10, 5], [20, 25, 2.5], [20, 101, 5.5], [20, 201, 10], [
    5,
    201,
    2.5,
  ]];
  for (const [every = 0, steps = 0, half] of cases) {
    const log = new LossLog(order, every, () => "advice");
    for (let step = 0; step < steps; step++) log.add(step, { loss: step, gradientNorm: 1 }, 0);
    const last = log.end(steps, 1);
    assert.equal(last && steps - 0.5 - Number(last.train_loss), half, `${steps}`); // half the number of steps
    assert.equal(log.end(steps, 1), undefined);
  }
  const log = new LossLog(order, 1, () => "advice", 10);
  const { learning_rate, muon_learning_rate } = log.add(0, { loss: 1, gradientNorm: 1 }, 0.25)!;
  assert.deepEqual([learning_rate, muon_learning_rate], [0.25, 2.5]);
});
