import type { Trainer } from "../../models/mod.ts";
import { hearSignals } from "../program/command.ts";

/** Seconds of trial steps from which the rate is taken, and the share of a short run that they may take. */
const trial = { seconds: 3, share: 0.05 } as const;
/** Steps that are not counted: the first ones are slower, while threads start and memory is touched. */
const warmUpSteps = 2;

/** Steps between two looks at the clock. */
const mostSteps = 32;

/** Work that comes up now and then between steps. */
export interface Interlude {
  /** Steps from one to the next. */
  readonly everySteps: number;
  /** Does the work, leaving no trace. */
  readonly run: () => Promise<unknown>;
}

/**
 * How many steps can be done in some time: runs a few seconds of them, and each interlude once, then puts the trainer
 * back to where it was, so that the run itself depends on the number of steps alone.
 *
 * @param batch examples of step 0, 1, ...
 * @param learningRate of the trial's steps
 * @param stopped asked between bursts
 */
export async function stepsWithin(
  seconds: number,
  trainer: Trainer,
  { batch, learningRate, interludes, stopped }: {
    readonly batch: (step: number) => Uint32Array<ArrayBuffer>;
    readonly learningRate: number;
    readonly interludes: readonly Interlude[];
    readonly stopped: () => boolean;
  },
): Promise<number> {
  const before = await trainer.state();
  const from = trainer.step;
  const trialSeconds = Math.min(trial.seconds, trial.share * seconds);
  const startedMs = performance.now();
  const secondsSince = (ms: number) => (performance.now() - ms) / 1000;
  const run = async (steps: number) => {
    for (let i = 0; i < steps; i++) trainer.queueStep(batch(trainer.step), learningRate);
    await trainer.losses();
    await hearSignals();
  };
  await run(warmUpSteps);
  let burst = 1;
  const countedMs = performance.now();
  do {
    await run(burst);
    burst = Math.min(2 * burst, mostSteps);
  } while (secondsSince(countedMs) < trialSeconds && !stopped());
  let perStep = secondsSince(countedMs) / (trainer.step - from - warmUpSteps);
  trainer.restore(before, "the state before the trial steps");
  for (const { everySteps, run } of interludes) {
    if (stopped()) break;
    const interludeMs = performance.now();
    await run();
    perStep += secondsSince(interludeMs) / everySteps;
  }
  return Math.max(1, Math.floor((seconds - secondsSince(startedMs)) / perStep));
}
