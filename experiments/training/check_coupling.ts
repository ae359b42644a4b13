import { type Coupling, couplings } from "../../models/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { makeVariant } from "../settings/variant.ts";
import { ConfigError, type TrainingConfig } from "../settings/tasks/train_config.ts";

/**
 * Checks that the data has what the coupling of a run needs to see.
 *
 * @throws {ConfigError} if it has no labels, and the coupling pairs within classes
 */
export function checkCoupling({ coupling }: TrainingConfig, { name, train }: Dataset): void {
  const { sees }: Coupling = makeVariant(couplings, coupling);
  if (sees !== "labels" || train.labels) return;
  throw new ConfigError(
    `Cannot use --coupling ${coupling} with ${name}: its training images have no labels (expected a class for each)`,
  );
}
