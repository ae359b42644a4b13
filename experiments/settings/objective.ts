/** What an objective is: the path, the times, the coupling and the prediction of a run. */

import {
  couplings,
  type HeldOutOptions,
  type Objective,
  paths,
  predictions,
  timeDistributions,
  velocityPrediction,
} from "../../models/mod.ts";
import { variant } from "../cli/kinds.ts";
import type { Values } from "../cli/settings.ts";

/** The settings of an objective. */
export const objectiveSettings = {
  path: variant(paths, {
    doc: "path from noise to data",
    default: "linear",
    changesLoss: true,
  }),
  times: variant(timeDistributions, {
    doc: "distribution of t",
    default: "uniform",
    changesLoss: true,
    rare: true,
  }),
  coupling: variant(couplings, {
    doc: "how noise and data are paired",
    default: "independent",
    changesLoss: true,
  }),
  prediction: variant(predictions, {
    doc: "what the network predicts",
    default: "velocity",
    changesLoss: true,
    rare: true,
  }),
} as const;

/** The parts of an objective. */
export type ObjectiveSettings = Values<typeof objectiveSettings>;

/** The objective of a run. */
export function objectiveOf(
  { path, times, coupling }: Pick<ObjectiveSettings, "path" | "times" | "coupling">,
): Objective {
  return {
    path: path.value,
    times: times.value,
    coupling: coupling.value,
    prediction: velocityPrediction, // the network converts what it predicts
  };
}

/** Options for measuring losses of held-out images. */
export function heldOutOptions(
  config: ObjectiveSettings & { readonly batchSize: number; readonly seed: number },
): HeldOutOptions {
  return { batchSize: config.batchSize, seed: config.seed, objective: objectiveOf(config) };
}
