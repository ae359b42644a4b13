import { isCount } from "../../kernels/core/checks.ts";

/** More would not fit in memory. */
const mostSteps = 2 ** 24;

/**
 * Equal steps from noise to data: 0, 1 / steps, ..., 1.
 *
 * @throws {RangeError} if `steps` is not a positive integer
 */
export function uniformTimes(steps: number): number[] {
  if (isCount(steps, 1, mostSteps)) return Array.from({ length: steps + 1 }, (_, i) => i / steps);
  throw new RangeError(`Cannot sample in ${steps} steps (expected a positive integer, at most ${mostSteps})`);
}

/**
 * Checks the times of a solver.
 *
 * @param times two or more in [0, 1], increasing or decreasing
 * @throws {RangeError} naming the first invalid time
 */
export function checkedTimes(times: readonly number[]): readonly number[] {
  if (times.length < 2) {
    throw new RangeError(`Cannot sample at ${times.length} times (expected two or more)`);
  }
  const direction = Math.sign(times[1] - times[0]);
  const bad = times.findIndex((t, i) =>
    !(t >= 0 && t <= 1) || (i > 0 && !(Math.sign(t - times[i - 1]) === direction && direction !== 0))
  );
  if (bad < 0) return times;
  throw new RangeError(
    `Cannot sample at t = ${times[bad]}, time ${bad} of ${times.length} ` +
      "(expected increasing or decreasing times in [0, 1])",
  );
}
