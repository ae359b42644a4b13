import type { ImageSplit } from "../data/dataset.ts";
import { ConfigError } from "../settings/setting.ts";
import type { TrainingConfig } from "../settings/training.ts";

/**
 * Checks that a new run has images to validate with, if its schedule follows the validation loss.
 *
 * @throws {ConfigError} if its share of the training images is none
 */
export function checkValidation(
  { schedule, valFraction, resume }: Pick<TrainingConfig, "schedule" | "valFraction" | "resume">,
  { train, validation }: ImageSplit,
): void {
  if (schedule !== "plateau" || validation.length > 0 || resume !== null) return;
  throw new ConfigError(
    `Cannot use --schedule plateau with --val-fraction ${valFraction}: that is no image beside ${train.length} to train ` +
      "(expected one at least, as it follows the validation loss)",
  );
}
