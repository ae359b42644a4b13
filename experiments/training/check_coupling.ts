import { type Coupling, couplings } from "../../models/mod.ts";
import { makeVariant } from "../settings/variant.ts";
import { ConfigError } from "../settings/setting.ts";
import type { TrainingConfig } from "../settings/training.ts";

/**
 * Checks that a run has what its coupling needs to see.
 *
 * @param config once it is decided whether the network gets labels
 * @throws {ConfigError} if it gets none, and the coupling pairs within classes
 */
export function checkCoupling({ coupling, conditional }: TrainingConfig): void {
  const { sees }: Coupling = makeVariant(couplings, coupling);
  if (sees !== "labels" || conditional === true) return;
  throw new ConfigError(
    `Cannot use --coupling ${coupling}: it pairs within classes, and the network gets no labels ` +
      "(expected --conditional and data with labels)",
  );
}
