import { constant, cosine, oneCycle } from "./annealing.ts";
import { rejectUnknown, unknownName } from "../nearest.ts";
import { plateau } from "./plateau.ts";

/** Learning rate over a training run, whatever it is measured in: steps, epochs or time. */
export interface Schedule {
  /** The rate when this share of the run is done; shares outside [0, 1] count as its ends. */
  learningRate(progress: number): number;
  /** Takes note of a validation loss. Only schedules that follow it have this. */
  observe?(validationLoss: number): void;
  /** What to keep to go on exactly, as JSON. Only schedules that change have this. */
  state?(): Record<string, number>;
  /** Goes on from a state. */
  restore?(state: Record<string, number>): void;
}

/** The share of a run of some steps that is done before a step, counted from 0: 0 at the first, 1 at the last. */
export function progressAt(step: number, steps: number): number {
  return Math.min(step / Math.max(steps - 1, 1), 1);
}

/** Name of a schedule. */
export type ScheduleName = "constant" | "cosine" | "one_cycle" | "plateau";

/** The schedules by name, with the names of their settings. */
const schedules = {
  constant: { make: constant, settings: ["warmup"] },
  cosine: { make: cosine, settings: ["warmup", "final"] },
  one_cycle: { make: oneCycle, settings: ["warmup", "startDivisor", "endDivisor"] },
  plateau: { make: plateau, settings: ["warmup", "factor", "patience", "threshold", "cooldown", "minimum"] },
} satisfies Record<ScheduleName, unknown>;

/** All names of schedules. */
export const scheduleNames: readonly ScheduleName[] = Object.keys(schedules) as ScheduleName[];

/**
 * Names of the settings that a schedule has.
 *
 * @throws {TypeError} if there is no such schedule
 */
export function scheduleSettings(name: ScheduleName): readonly string[] {
  if (!Object.hasOwn(schedules, name)) throw new TypeError(unknownName("schedule", name, scheduleNames));
  return schedules[name].settings;
}

/**
 * Makes a schedule by name.
 *
 * @param settings those of `constant`, `cosine`, `oneCycle` or `plateau`
 * @throws {TypeError} if the name or a setting is unknown
 * @throws {RangeError} if a setting has an impossible value
 */
export function createSchedule(
  name: ScheduleName,
  learningRate: number,
  settings: Readonly<Record<string, number>> = {},
): Schedule {
  rejectUnknown(settings, scheduleSettings(name), `schedule ${name}`);
  return schedules[name].make(learningRate, settings);
}
