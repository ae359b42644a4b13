import { ConfigError, flagOf } from "./setting.ts";
import type { TrainingConfig } from "./training_settings.ts";

/** The settings of a network, as far as they can contradict each other. */
export type NetworkConfig = Pick<TrainingConfig, "model" | "filters" | "attn" | "groups">;

/**
 * Checks that the group normalisations of a network can split its channels: those of every level in the
 * residual network, and with attention those of the last level.
 *
 * @throws {ConfigError} that names the level whose channels the groups do not divide
 */
export function checkGroups({ model, filters, attn, groups }: NetworkConfig): void {
  const last = filters.length - 1;
  const undivided = filters.findIndex((channels, level) => {
    return (model === "residual" || (attn && level === last)) && channels % groups !== 0;
  });
  if (undivided < 0) return;
  const reason = model === "residual"
    ? "the residual model normalises every level"
    : "--attn normalises the last";
  throw new ConfigError(
    `Cannot use --groups ${groups} with --filters ${filters}: ${groups} does not divide ` +
      `${filters[undivided]}, the channels of level ${undivided + 1} (${reason})`,
  );
}

/**
 * Checks the settings of a training run against each other.
 *
 * @throws {ConfigError} if the network cannot be built, the run would not end or its schedule sees no loss
 */
export function checkConfig(config: TrainingConfig): void {
  checkGroups(config);
  if (config.epochs === 0 && config.maxSteps === 0 && config.maxMinutes === 0) {
    throw new ConfigError(
      "Cannot train without an end: --epochs, --max-steps and --max-minutes are all 0 (expected one above 0)",
    );
  }
  if (config.schedule === "plateau" && config.valFraction === 0) {
    throw new ConfigError(
      "Cannot use --schedule plateau with --val-fraction 0: it follows the validation loss (expected above 0)",
    );
  }
}

/** For settings that only some methods read: which setting must have which of its values. */
const needs = {
  momentum: ["optimizer", ["sgd"]],
  beta1: ["optimizer", ["adamw", "adam"]],
  beta2: ["optimizer", ["adamw", "adam"]],
  eps: ["optimizer", ["adamw", "adam"]],
  plateauFactor: ["schedule", ["plateau"]],
  plateauPatience: ["schedule", ["plateau"]],
} as const;

/**
 * Checks that every setting given has an effect, so that none is believed to have one.
 *
 * @param given the settings that the command line gives
 * @param config all settings of the run
 * @throws {ConfigError} that names the setting and what it needs
 */
export function checkEffects(given: Partial<TrainingConfig>, config: TrainingConfig): void {
  for (const [name, [needed, methods]] of Object.entries(needs)) {
    const words: readonly string[] = methods;
    if (!(name in given) || words.includes(config[needed])) continue;
    throw new ConfigError(
      `Cannot use ${flagOf(name)} with ${flagOf(needed)} ${config[needed]}: ` +
        `it has an effect only with ${flagOf(needed)} ${words.join(" or ")}`,
    );
  }
}
