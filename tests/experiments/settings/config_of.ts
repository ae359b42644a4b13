/** Flags of a training as a user types them. */

import assert from "node:assert/strict";
import {
  parseTrainingFlags,
  type PresetName,
  resolveConfig,
  type TrainingConfig,
} from "../../../experiments/settings/tasks/train_config.ts";

/** The settings that flags of a training give. */
export function configOf(flags: string, preset: PresetName = "quick"): TrainingConfig {
  return resolveConfig(parseTrainingFlags(flags.split(" ")), preset);
}

/** Checks that flags are refused with this one line. */
export function assertRefused(flags: string, message: string): void {
  assert.throws(() => configOf(`--model residual ${flags}`), { name: "ConfigError", message });
}
