import { checkCount, refuse } from "../../kernels/core/checks.ts";
import { checkName, rejectUnknown } from "../names.ts";

/** Learning rate as a function of the progress of a training run. */
export interface Schedule {
  /** The rate at a progress in [0, 1]; values outside are clamped. */
  learningRate(progress: number): number;
  /** Takes a validation loss into account, for schedules that depend on it. */
  observe?(validationLoss: number): void;
  /** JSON-compatible state to save, for schedules that have one. */
  state?(): Record<string, number>;
  /** Restores a state. */
  restore?(state: Record<string, number>): void;
}

/** The progress of a run at a step: 0 at step 0, 1 at the last step. */
export function progressAt(step: number, steps: number): number {
  checkCount("compute the progress of a run", "step", step, 0);
  checkCount("compute the progress of a run", "steps", steps, 0);
  return Math.min(step / Math.max(steps - 1, 1), 1);
}

/** Refuses a rate below 0. */
export function checkRate(task: string, name: string, rate: number): void {
  if (rate >= 0 && rate < Infinity) return;
  refuse(RangeError, `${task}: ${name} is ${rate}`, "a number of at least 0");
}

/** A rate as a function of progress. */
type Rate = (progress: number) => number;

/** Linear warm-up from 0, then `after`, as a function of the progress through the rest of the run. */
function warmUp(warmup: number, after: Rate): Rate {
  return twoPhases(warmup, (progress) => after(0) * progress, after);
}

/** `first` for a share of the run, then `second`, each as a function of the progress through its part. */
function twoPhases(share: number, first: Rate, second: Rate): Rate {
  if (!(share >= 0 && share < 1)) refuse(RangeError, `warm up for ${share} of a run`, "0 <= warmup < 1");
  return (progress) => {
    const done = Math.min(Math.max(progress, 0), 1);
    return done < share ? first(done / share) : second((done - share) / (1 - share));
  };
}

/** From `start` at progress 0 to `end` at 1 along half a cosine. */
function cosineBetween(start: number, end: number, progress: number): number {
  return end + (start - end) * (1 + Math.cos(Math.PI * progress)) / 2;
}

/** Name of a schedule. */
export type ScheduleName = "constant" | "cosine" | "one_cycle" | "plateau";

/** The settings of each schedule, with their defaults. */
const defaults = {
  constant: { warmup: 0 },
  cosine: { warmup: 0, final: 0 },
  one_cycle: { warmup: 0.3, startDivisor: 25, endDivisor: 1e4 },
  plateau: { warmup: 0, factor: 0.1, patience: 10, threshold: 1e-4, cooldown: 0, minimum: 0 },
} satisfies Record<ScheduleName, Readonly<Record<string, number>>>;

/** Fills in defaults, and checks settings and rate. */
function completed<Name extends ScheduleName>(
  name: Name,
  learningRate: number,
  settings: Readonly<Partial<(typeof defaults)[Name]>>,
): (typeof defaults)[Name] {
  rejectUnknown(settings, Object.keys(defaults[name]), `schedule ${name}`);
  checkRate("make a schedule", "the learning rate", learningRate);
  return { ...defaults[name], ...settings };
}

/**
 * A constant rate.
 *
 * @param settings `warmup`: share of the run with linear warm-up from 0, by default 0
 */
export function constantSchedule(learningRate: number, settings: { warmup?: number } = {}): Schedule {
  const { warmup } = completed("constant", learningRate, settings);
  return { learningRate: warmUp(warmup, () => learningRate) };
}

/**
 * From the rate to `final` along half a cosine.
 *
 * @param settings `warmup`: share of the run with linear warm-up from 0; `final`; both by default 0
 *
 * Source: Loshchilov and Hutter 2016, arXiv:1608.03983
 */
export function cosineSchedule(
  learningRate: number,
  settings: { warmup?: number; final?: number } = {},
): Schedule {
  const { warmup, final } = completed("cosine", learningRate, settings);
  checkRate("make a schedule", "final", final);
  return { learningRate: warmUp(warmup, (progress) => cosineBetween(learningRate, final, progress)) };
}

/**
 * Rises to the rate along half a cosine, then falls to almost 0 along another.
 *
 * Equals PyTorch's OneCycleLR over T steps at progress s / (T - 1), with `warmup` = (pct_start T - 1) / (T - 1).
 *
 * @param learningRate the peak rate
 * @param settings `warmup`: share of the run in which the rate rises, by default 0.3; `startDivisor`: peak rate /
 * initial rate, by default 25; `endDivisor`: initial rate / final rate, by default 10,000
 *
 * Source: Smith and Topin 2017, arXiv:1708.07120
 */
export function oneCycleSchedule(
  learningRate: number,
  settings: { warmup?: number; startDivisor?: number; endDivisor?: number } = {},
): Schedule {
  const { warmup, startDivisor, endDivisor } = completed("one_cycle", learningRate, settings);
  for (const [name, divisor] of Object.entries({ startDivisor, endDivisor })) {
    if (divisor > 0 && divisor < Infinity) continue;
    refuse(RangeError, `make a schedule: ${name} is ${divisor}`, "a number above 0");
  }
  const start = learningRate / startDivisor;
  const up = (progress: number) => cosineBetween(start, learningRate, progress);
  const down = (progress: number) => cosineBetween(learningRate, start / endDivisor, progress);
  return { learningRate: twoPhases(warmup, up, down) };
}

/** Smallest change of the rate, as in PyTorch. */
const leastChange = 1e-8;

/**
 * Reduces the rate when the validation loss stops improving, like PyTorch's ReduceLROnPlateau.
 *
 * @param learningRate initial rate
 * @param settings `warmup`: share of the run with linear warm-up from 0, by default 0; `factor`: multiplies the rate at
 * a reduction, 0.1; `patience`: number of losses without improvement to tolerate, 10; `threshold`: a loss is better if
 * it is below (1 - threshold) times the best, 0.0001; `cooldown`: number of losses to ignore after a reduction, 0;
 * `minimum`: lower bound of the rate, 0
 */
export function plateauSchedule(
  learningRate: number,
  settings: Partial<
    Record<"warmup" | "factor" | "patience" | "threshold" | "cooldown" | "minimum", number>
  > = {},
): Required<Schedule> {
  const { warmup, factor, patience, threshold, cooldown, minimum } = completed(
    "plateau",
    learningRate,
    settings,
  );
  checkRate("make a schedule", "threshold", threshold);
  checkRate("make a schedule", "minimum", minimum);
  if (!(factor > 0 && factor < 1)) {
    refuse(RangeError, `reduce the rate by factor ${factor}`, "0 < factor < 1");
  }
  checkCount("reduce the rate", "patience", patience, 0);
  checkCount("reduce the rate", "cooldown", cooldown, 0);
  // Not Infinity, because the state must survive JSON.
  let state = { learningRate, best: Number.MAX_VALUE, bad: 0, cooling: 0 };
  return {
    learningRate: warmUp(warmup, () => state.learningRate),
    observe(validationLoss) {
      if (validationLoss < state.best * (1 - threshold)) { // never if it is NaN
        state.best = validationLoss;
        state.bad = 0;
      } else state.bad++;
      if (state.cooling > 0) {
        state.cooling--;
        state.bad = 0;
      }
      if (state.bad <= patience) return;
      const lower = Math.max(state.learningRate * factor, minimum);
      if (state.learningRate - lower > leastChange) state.learningRate = lower;
      state.cooling = cooldown;
      state.bad = 0;
    },
    state: () => ({ ...state }),
    restore: (saved) => {
      state = { ...state, ...saved };
    },
  };
}

type MakeSchedule = (learningRate: number, settings: Readonly<Record<string, number>>) => Schedule;

const schedules: Readonly<Record<ScheduleName, MakeSchedule>> = {
  constant: constantSchedule,
  cosine: cosineSchedule,
  one_cycle: oneCycleSchedule,
  plateau: plateauSchedule,
};

/** All names of schedules. */
export const scheduleNames: readonly ScheduleName[] = Object.keys(schedules) as ScheduleName[];

/** Names of the settings of a schedule. */
export function scheduleSettings(name: ScheduleName): readonly string[] {
  checkName("schedule", name, scheduleNames);
  return Object.keys(defaults[name]);
}

/**
 * Makes a schedule by name.
 *
 * @param learningRate the rate after the warm-up; for `one_cycle`, the peak
 * @param settings the settings of its function, such as `cosineSchedule`
 */
export function createSchedule(
  name: ScheduleName,
  learningRate: number,
  settings: Readonly<Record<string, number>> = {},
): Schedule {
  scheduleSettings(name);
  return schedules[name](learningRate, settings);
}
