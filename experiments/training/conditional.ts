import type { Dataset } from "../data/dataset.ts";
import { ConfigError } from "../settings/setting.ts";
import type { TrainingConfig } from "../settings/training.ts";
import { unlabelled } from "../settings/training_config.ts";

/**
 * Decides whether a run gives labels to its network, now that its data is known.
 *
 * @param say called with a line for the user where the data leaves no choice
 * @throws {ConfigError} if labels are asked for and the data has none
 */
export function decideConditional(
  config: TrainingConfig,
  { name, classes }: Pick<Dataset, "name" | "classes">,
  say: (message: string) => void,
): TrainingConfig {
  if (classes > 0) return { ...config, conditional: config.conditional !== false };
  if (config.conditional === true) {
    throw new ConfigError(
      `Cannot use --conditional: the data set ${name} has no labels (expected some, or --no-conditional)`,
    );
  }
  if (config.conditional === false) return config;
  say(`Training without labels: the data set ${name} has none`);
  return { ...config, conditional: false, guidance: unlabelled(config.guidance) };
}
