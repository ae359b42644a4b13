/** Training flags as a user types them. */

import assert from "node:assert/strict";
import { type PresetName, training, type TrainingConfig } from "../../../experiments/cli/training.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";

/** The settings that training flags give. */
export function configOf(flags: string, preset: PresetName = "quick"): TrainingConfig {
  return trainingConfig(training.parse(flags.split(" ")).values, preset);
}

/** Asserts that flags are refused with a one-line message. */
export function assertRefused(flags: string, message: string): void {
  assert.throws(() => configOf(`--model residual ${flags}`), { name: "ConfigError", message });
}
