import { rejectUnknown } from "../nearest.ts";
import type { Schedule } from "./schedule.ts";

/** @throws {RangeError} if a rate, or what is named as one, is not a number of at least 0 */
export function checkRate(task: string, name: string, rate: number): void {
  if (rate >= 0 && rate < Infinity) return;
  throw new RangeError(`Cannot ${task}: ${name} is ${rate} (expected a number of at least 0)`);
}

/** Linear warm-up from 0, then `after`, a function of the progress through the rest of the run. */
export function warmUp(warmup: number, after: (progress: number) => number): (progress: number) => number {
  return twoPhases(warmup, (progress) => after(0) * progress, after);
}

/** `first` for a share of the run, then `second`, each a function of the progress through its own part. */
function twoPhases(
  share: number,
  first: (progress: number) => number,
  second: (progress: number) => number,
): (progress: number) => number {
  if (!(share >= 0 && share < 1)) {
    throw new RangeError(`Cannot warm up for ${share} of a run (expected 0 <= warmup < 1)`);
  }
  return (progress) => {
    const done = Math.min(Math.max(progress, 0), 1);
    return done < share ? first(done / share) : second((done - share) / (1 - share));
  };
}

/** From `start` at progress 0 to `end` at 1 along half a cosine. */
function cosineBetween(start: number, end: number, progress: number): number {
  return end + (start - end) * (1 + Math.cos(Math.PI * progress)) / 2;
}

/**
 * A constant rate.
 *
 * @param warmup share of the run with linear warm-up from 0
 * @throws {RangeError} if the rate is not a number of at least 0, or `warmup` outside [0, 1)
 * @throws {TypeError} if a setting is unknown
 */
export function constant(
  learningRate: number,
  { warmup = 0, ...others }: { warmup?: number } = {},
): Schedule {
  rejectUnknown(others, ["warmup"], "constant()");
  checkRate("make a schedule", "the learning rate", learningRate);
  return { learningRate: warmUp(warmup, () => learningRate) };
}

/**
 * From the rate to `final` along half a cosine.
 *
 * @param warmup share of the run with linear warm-up from 0
 * @throws {RangeError} if a rate is not a number of at least 0, or `warmup` outside [0, 1)
 * @throws {TypeError} if a setting is unknown
 * Source: Loshchilov and Hutter 2016, arXiv:1608.03983
 */
export function cosine(
  learningRate: number,
  { warmup = 0, final = 0, ...others }: { warmup?: number; final?: number } = {},
): Schedule {
  rejectUnknown(others, ["warmup", "final"], "cosine()");
  checkRate("make a schedule", "the learning rate", learningRate);
  checkRate("make a schedule", "final", final);
  return { learningRate: warmUp(warmup, (progress) => cosineBetween(learningRate, final, progress)) };
}

/**
 * Up to the rate along half a cosine, then down to almost 0 along another.
 *
 * PyTorch's OneCycleLR over T steps is at progress s / (T - 1) in step s, with `warmup` (pct_start T - 1) / (T - 1).
 *
 * @param learningRate the peak rate
 * @param warmup share of the run in which the rate rises
 * @param startDivisor peak rate / initial rate
 * @param endDivisor initial rate / final rate
 * @throws {RangeError} if the rate is not a number of at least 0, a divisor not above 0, or `warmup` outside [0, 1)
 * @throws {TypeError} if a setting is unknown
 * Source: Smith and Topin 2017, arXiv:1708.07120
 */
export function oneCycle(
  learningRate: number,
  { warmup = 0.3, startDivisor = 25, endDivisor = 1e4, ...others }: {
    warmup?: number;
    startDivisor?: number;
    endDivisor?: number;
  } = {},
): Schedule {
  rejectUnknown(others, ["warmup", "startDivisor", "endDivisor"], "oneCycle()");
  checkRate("make a schedule", "the learning rate", learningRate);
  for (const [name, divisor] of Object.entries({ startDivisor, endDivisor })) {
    if (divisor > 0 && divisor < Infinity) continue;
    throw new RangeError(`Cannot make a schedule: ${name} is ${divisor} (expected a number above 0)`);
  }
  const start = learningRate / startDivisor;
  const up = (progress: number) => cosineBetween(start, learningRate, progress);
  const down = (progress: number) => cosineBetween(learningRate, start / endDivisor, progress);
  return { learningRate: twoPhases(warmup, up, down) };
}
