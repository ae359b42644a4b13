import { constant, cosine, oneCycle, plateau, type Schedule } from "../../models/mod.ts";
import type { TrainingConfig } from "../settings/tasks/train_config.ts";

/** The learning-rate schedule of a configuration. */
export function scheduleOf(
  { schedule, lr, warmUp: warmup, plateauFactor: factor, plateauPatience: patience }: TrainingConfig,
): Schedule {
  switch (schedule) {
    case "constant":
      return constant(lr, { warmup });
    case "cosine":
      return cosine(lr, { warmup });
    case "one_cycle":
      return oneCycle(lr, { warmup });
    case "plateau":
      return plateau(lr, { warmup, factor, patience });
  }
}
