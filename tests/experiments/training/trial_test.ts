import assert from "node:assert/strict";
import { stepsWithin, timeSteps, type Trial } from "../../../experiments/training/trial.ts";

/** A trainer with a clock of its own, on which every step takes the same time. */
function fakeTrainer(stepSeconds: number) {
  return {
    step: 5,
    seconds: 0,
    trialSteps: 0,
    state: () => Promise.resolve({ step: 5, parameters: new Map(), optimizer: new Map() }),
    restore({ step }: { readonly step: number }) {
      this.step = step;
    },
    queueStep() {
      this.step++;
      this.trialSteps++;
      this.seconds += stepSeconds;
    },
    losses: () => Promise.resolve([]),
  };
}

async function attempt(
  stepSeconds: number,
  options: (trainer: ReturnType<typeof fakeTrainer>) => Partial<Trial> = () => ({}),
) {
  const trainer = fakeTrainer(stepSeconds);
  const trial = {
    batches: (from: number, to: number) => Promise.resolve(Array(to - from).fill(Uint32Array.of(0))),
    learningRate: 0,
    interludes: [],
    stopped: () => false,
  };
  const now = () => trainer.seconds * 1000;
  const steps = await stepsWithin(60, trainer, { ...trial, ...options(trainer) }, now);
  return { steps, trainer };
}

Deno.test("stepsWithin() fills the time left after its trial, and restores the trainer", async () => {
  const { steps, trainer } = await attempt(0.25);
  assert.equal(trainer.step, 5);
  assert.equal(steps, (60 - trainer.seconds) / 0.25);
});

Deno.test("stepsWithin() does not time the first second of its trial, in which steps are slower", async () => {
  const { steps, trainer } = await attempt(0.1, (trainer) => ({
    batches(from, to) {
      if (trainer.seconds < 0.9) trainer.seconds += 0.15; // kernels are still compiled
      return Promise.resolve(Array(to - from).fill(Uint32Array.of(0)));
    },
  }));
  assert.ok(Math.abs(steps! - (60 - trainer.seconds) / 0.1) <= 1, `${steps} steps`); // rounded
});

Deno.test("stepsWithin() tries a single step if a step takes seconds", async () => {
  const { steps, trainer } = await attempt(4);
  assert.deepEqual([trainer.trialSteps, steps], [1, 14]);
});

Deno.test("stepsWithin() returns at least 1", async () => {
  assert.equal((await attempt(100)).steps, 1);
});

Deno.test("stepsWithin() spreads the time of an interlude over its steps", async () => {
  const { steps, trainer } = await attempt(0.5, (trainer) => ({
    interludes: [{ everySteps: (total) => total / 15, run: () => Promise.resolve(trainer.seconds += 6) }],
  }));
  assert.equal(trainer.seconds, 4.5 + 6);
  assert.equal(steps, Math.floor((60 - 10.5) / (0.5 + 6 / 8))); // 120 steps without it
});

Deno.test("timeSteps() times the steps from a later one on, and restores the trainer", async () => {
  const trainer = fakeTrainer(0.25);
  const asked: number[] = [];
  const batches = (from: number, to: number) => {
    asked.push(from);
    return Promise.resolve(Array(to - from).fill(Uint32Array.of(0)));
  };
  const trial = { batches, learningRate: 0, stopped: () => false };
  assert.equal(await timeSteps(trainer, trial, 2, 40, () => trainer.seconds * 1000), 0.25);
  assert.deepEqual([asked[0], trainer.step], [40, 5]);
});

Deno.test("stepsWithin() returns undefined if stopped, with the trainer restored", async () => {
  const { steps, trainer } = await attempt(0.25, () => ({ stopped: () => true }));
  assert.deepEqual([steps, trainer.step, trainer.trialSteps], [undefined, 5, 1]);
});
