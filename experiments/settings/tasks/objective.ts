import {
  couplings,
  type HeldOutOptions,
  lossWeights,
  type Objective,
  paths,
  timeDistributions,
  velocityPrediction,
} from "../../../models/mod.ts";
import type { TrainingConfig } from "./train.ts";
import { makeVariant } from "../variant.ts";

/** What the network of a configuration learns. */
export function objectiveOf(
  { path, times, coupling, lossWeight }: Pick<
    TrainingConfig,
    "path" | "times" | "coupling" | "lossWeight"
  >,
): Objective {
  return {
    path: makeVariant(paths, path),
    times: makeVariant(timeDistributions, times),
    coupling: makeVariant(couplings, coupling),
    prediction: velocityPrediction, // the network converts what it predicts
    weight: makeVariant(lossWeights, lossWeight),
  };
}

/** How losses of held-out images are measured. */
export function heldOutOptions(config: TrainingConfig): HeldOutOptions {
  const { batchSize, seed } = config;
  return { batchSize, seed, objective: objectiveOf(config) };
}
