import assert from "node:assert/strict";
import type { TrainingConfig } from "../../../experiments/cli/training.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { stepsBetween } from "../../../experiments/training/measures.ts";
import { RunSchedule } from "../../../experiments/training/schedule.ts";
import { BatchOrder } from "../../../models/mod.ts";

const order = new BatchOrder(Uint32Array.from({ length: 64 }, (_, i) => i), 32, 1);
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

const progress = {
  ...{ validatedStep: 0, schedule: {}, dataDigest: "" },
  recentSteps: { losses: [], gradientNorms: [], open: 0 },
};

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
    assert.ok(
      rates.every((rate, i) => rate <= (rates[i - 1] ?? 1)) && rates.at(-1)! < 0.01,
      `${name}: ${rates}`,
    );
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
});

Deno.test("RunSchedule has the rates of its schedule from the first to the last step", () => {
  const down = (share: number) => (1 + Math.cos(Math.PI * share)) / 2;
  const least = 1 / 25 / 1e4;
  const expected: [values: Partial<TrainingConfig>, rates: number[]][] = [
    [{ schedule: "constant", warmUp: 0.5 }, [0, 1 / 2, 1, 1, 1]],
    [{ schedule: "cosine" }, [0, 1, 2, 3, 4].map((step) => down(step / 4))],
    [
      { schedule: "one_cycle", warmUp: 0.25 },
      [1 / 25, ...[0, 1, 2, 3].map((step) => least + (1 - least) * down(step / 3))],
    ],
  ];
  for (const [values, rates] of expected) {
    const schedule = scheduleOf({ ...values, maxSteps: 5 });
    rates.forEach((rate, step) => assert.ok(Math.abs(schedule.learningRate(step) - rate) < 1e-12));
  }
});

Deno.test("RunSchedule.resume() refuses another length if the rate would jump", () => {
  const cases: [earlier: Partial<TrainingConfig>, changed: Partial<TrainingConfig>, refused?: RegExp][] = [
    [
      { schedule: "one_cycle" },
      { maxSteps: 8 },
      /^Cannot resume run for 8 steps: .* laid out for 4 steps, .*jump from /,
    ],
    [
      { schedule: "cosine" },
      { maxSteps: 0, maxMinutes: 9 },
      /^Cannot resume run for 9 minutes: .*\(expected --lr X /,
    ],
    [{ schedule: "cosine" }, { maxSteps: 5 }], // its last rate is that of the end, too
    [{ schedule: "cosine" }, { maxSteps: 8, lr: 0.002 }],
    [{ schedule: "cosine" }, { maxSteps: 8, schedule: "constant" }],
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
});

Deno.test("RunSchedule says when a run has missed its minutes, and stops at other limits", () => {
  const late = train(scheduleOf({ maxMinutes: 1 }), (step) => step < 400 ? 0.1 : 0.2);
  assert.match(late.missed!, /^Trained for \d+ seconds instead of 60 seconds: /);
  const short = train(scheduleOf({ maxMinutes: 1, maxSteps: 30 }), () => 0.1);
  assert.deepEqual([short.step, short.missed], [30, undefined]);
  assert.deepEqual(scheduleOf({ maxSteps: 30 }).settings, {}, "a run limited by steps keeps its settings");
});

Deno.test("RunSchedule.resume() ends a run at its step once its minutes are over, and not before", () => {
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

Deno.test("stepsBetween() is 400, fewer in short runs, and more if evaluations take too much time", () => {
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
});
