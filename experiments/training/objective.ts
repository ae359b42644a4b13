import {
  couplings,
  lossWeights,
  type Objective,
  paths,
  predictions,
  timeDistributions,
} from "../../models/mod.ts";
import type { TrainingConfig } from "../settings/tasks/train.ts";
import { makeVariant } from "../settings/variant.ts";

/** What the network of a configuration learns. */
export function objectiveOf(
  { path, times, coupling, prediction, lossWeight }: Pick<
    TrainingConfig,
    "path" | "times" | "coupling" | "prediction" | "lossWeight"
  >,
): Objective {
  return {
    path: makeVariant(paths, path),
    times: makeVariant(timeDistributions, times),
    coupling: makeVariant(couplings, coupling),
    prediction: makeVariant(predictions, prediction),
    weight: makeVariant(lossWeights, lossWeight),
  };
}
