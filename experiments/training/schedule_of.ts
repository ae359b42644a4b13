import { createSchedule, type Schedule, scheduleSettings } from "../../models/mod.ts";
import type { TrainingConfig } from "../settings/training.ts";

/** Makes the learning-rate schedule of a configuration. */
export function scheduleOf(
  { schedule, lr, warmUp: warmup, plateauFactor: factor, plateauPatience: patience }: TrainingConfig,
): Schedule {
  const known = scheduleSettings(schedule);
  const settings = Object.entries({ warmup, factor, patience }).filter(([name]) => known.includes(name));
  return createSchedule(schedule, lr, Object.fromEntries(settings));
}
