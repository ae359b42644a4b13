import { checkCount } from "../../kernels/core/count.ts";
import { constant, cosine, oneCycle } from "./annealing.ts";
import { rejectUnknown, unknownName } from "../nearest.ts";
import { plateau } from "./plateau.ts";

/** Learning rate as a function of the progress of a training run. */
export interface Schedule {
  /** The rate at a progress in [0, 1]; values outside are clamped. */
  learningRate(progress: number): number;
  /** Takes a validation loss into account. Only schedules that depend on it have this. */
  observe?(validationLoss: number): void;
  /** State to save and restore, JSON-compatible. Only schedules with state have this. */
  state?(): Record<string, number>;
  /** Restores a state. */
  restore?(state: Record<string, number>): void;
}

/**
 * The progress of a run at a step, from 0 at the first step, step 0, to 1 at the last.
 *
 * @throws {RangeError} if the step is not a whole number of at least 0, or the run has not a whole number of steps
 */
export function progressAt(step: number, steps: number): number {
  checkCount("tell the progress of a run", "step", step, 0);
  checkCount("tell the progress of a run", "steps", steps, 0);
  return Math.min(step / Math.max(steps - 1, 1), 1);
}

/** Name of a schedule. */
export type ScheduleName = "constant" | "cosine" | "one_cycle" | "plateau";

/** The schedules by name, and the names of their settings. */
const schedules = {
  constant: { make: constant, settings: ["warmup"] },
  cosine: { make: cosine, settings: ["warmup", "final"] },
  one_cycle: { make: oneCycle, settings: ["warmup", "startDivisor", "endDivisor"] },
  plateau: { make: plateau, settings: ["warmup", "factor", "patience", "threshold", "cooldown", "minimum"] },
} satisfies Record<ScheduleName, unknown>;

/** All names of schedules. */
export const scheduleNames: readonly ScheduleName[] = Object.keys(schedules) as ScheduleName[];

/**
 * Names of the settings of a schedule.
 *
 * @throws {TypeError} if the name is unknown
 */
export function scheduleSettings(name: ScheduleName): readonly string[] {
  if (!Object.hasOwn(schedules, name)) throw new TypeError(unknownName("schedule", name, scheduleNames));
  return schedules[name].settings;
}

/**
 * Makes a schedule by name.
 *
 * @param learningRate the rate after the warm-up; of `one_cycle` the peak
 * @param settings those of `constant`, `cosine`, `oneCycle` or `plateau`, which also say the defaults
 * @throws {TypeError} if the name or a setting is unknown
 * @throws {RangeError} if a setting is out of range
 */
export function createSchedule(
  name: ScheduleName,
  learningRate: number,
  settings: Readonly<Record<string, number>> = {},
): Schedule {
  rejectUnknown(settings, scheduleSettings(name), `schedule ${name}`);
  return schedules[name].make(learningRate, settings);
}
