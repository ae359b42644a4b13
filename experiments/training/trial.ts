import type { Trainer } from "../../models/mod.ts";
import { yieldToEvents } from "../../kernels/core/yield_to_events.ts";

/** Seconds of trial steps, and the largest share of a short run that they may take. */
const trial = { seconds: 3, share: 0.05 } as const;
/**
 * Steps before the timed ones: at least this many, for at least this share of the timed seconds. They are slower while
 * threads start, memory is first touched and the engine optimises the kernels.
 */
const warmUp = { steps: 2, share: 1 / 3 } as const;
/** Maximum steps between two looks at the clock. */
const maxBurst = 32;

/** Work done between steps at regular intervals. */
export interface Interlude {
  /** Steps between two runs of it, in a training run of `totalSteps`. */
  readonly everySteps: (totalSteps: number) => number;
  /** Does the work without side effects. */
  readonly run: () => Promise<unknown>;
}

/** Input of a trial. */
export interface Trial {
  /** Examples of the steps from `from` up to `to`, as the coupling orders them. */
  readonly batches: (from: number, to: number) => Promise<readonly Uint32Array<ArrayBuffer>[]>;
  /** The learning rate of the trial steps. */
  readonly learningRate: number;
  readonly interludes: readonly Interlude[];
  /** Checked between bursts. */
  readonly stopped: () => boolean;
}

type TrialTrainer = Pick<Trainer, "step" | "state" | "restore" | "queueStep" | "losses">;

/**
 * Estimates how many steps fit into a number of seconds: runs a few seconds of steps and each interlude once, then
 * restores the trainer, so that the result of the run depends only on the number of steps.
 *
 * @param now clock in milliseconds
 * @returns at least 1; undefined if the trial was stopped
 */
export async function stepsWithin(
  seconds: number,
  trainer: TrialTrainer,
  { batches, learningRate, interludes, stopped }: Trial,
  now: () => number = () => performance.now(),
): Promise<number | undefined> {
  const startedMs = now();
  const time = Math.min(trial.seconds, trial.share * seconds);
  let perStep = await timeSteps(trainer, { batches, learningRate, stopped }, time, trainer.step, now);
  const stepsAlone = seconds / perStep;
  for (const { everySteps, run } of interludes) {
    if (stopped()) break;
    const interludeMs = now();
    await run();
    perStep += (now() - interludeMs) / 1000 / everySteps(stepsAlone);
  }
  if (stopped()) return undefined;
  return Math.max(1, Math.floor((seconds - (now() - startedMs) / 1000) / perStep));
}

/**
 * Times steps of a trainer, and then restores it.
 *
 * @param seconds about how long
 * @param from the first of the steps
 * @returns seconds per step
 */
export async function timeSteps(
  trainer: TrialTrainer,
  { batches, learningRate, stopped }: Omit<Trial, "interludes">,
  seconds: number = trial.seconds,
  from: number = trainer.step,
  now: () => number = () => performance.now(),
): Promise<number> {
  const before = await trainer.state();
  if (from !== before.step) trainer.restore({ ...before, step: from }, "the state before the trial steps");
  const run = async (steps: number) => {
    const examples = await batches(trainer.step, trainer.step + steps);
    for (const batch of examples) trainer.queueStep(batch, learningRate);
    await trainer.losses();
    await yieldToEvents();
  };
  const perStep = await secondsPerStep(run, seconds, stopped, now);
  trainer.restore(before, "the state before the trial steps");
  return perStep;
}

/** Times steps for some seconds after the warm-up, which ends early if a step takes seconds. */
export async function secondsPerStep(
  run: (steps: number) => Promise<void>,
  seconds: number,
  stopped: () => boolean,
  now: () => number,
): Promise<number> {
  const startedMs = now();
  let [steps, burst, isWarm] = [0, 1, false];
  let timed = { fromStep: 0, fromMs: startedMs };
  const isOver = () =>
    isWarm ? now() - timed.fromMs >= seconds * 1000 : now() - startedMs >= trial.seconds * 1000;
  do {
    if (!isWarm) timed = { fromStep: steps, fromMs: now() };
    isWarm ||= steps >= warmUp.steps && timed.fromMs - startedMs >= warmUp.share * seconds * 1000;
    await run(burst);
    steps += burst;
    if (isWarm) burst = Math.min(2 * burst, maxBurst);
  } while (!isOver() && !stopped());
  return (now() - timed.fromMs) / 1000 / (steps - timed.fromStep);
}
