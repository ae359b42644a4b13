import { type Adam, adamL2Update, adamUpdate, sgdUpdate } from "../../kernels/mod.ts";
import { muon } from "./muon.ts";
import type { UpdateRule } from "./update_rule.ts";

/** Adam or AdamW, by its kernel. */
function adamRule(update: Adam): UpdateRule {
  return {
    moments: ["m", "v"],
    settings: ({ beta1, beta2, epsilon, weightDecay, clip }, learningRate, step) => {
      // Bias correction must use the device's rounded betas, or the first steps are off.
      const left = (beta: number) => 1 - Math.fround(beta) ** step;
      return [learningRate, beta1, beta2, epsilon, weightDecay, left(beta1), left(beta2), clip];
    },
    bind: ({ p, g, moments: [m, v] }) => (norm, settings) => update(p, m, v, g, norm, settings),
  };
}

const adamw = adamRule(adamUpdate);

const sgd: UpdateRule = {
  moments: ["m"],
  settings: (
    { momentum, weightDecay, clip },
    learningRate,
    step,
  ) => [learningRate, momentum, 0, 0, weightDecay, step === 1 ? 1 : 0, 0, clip],
  bind: ({ p, g, moments: [m] }) => (norm, settings) => sgdUpdate(p, m, g, norm, settings),
};

/** Name of an optimizer. */
export type OptimizerKind = "adamw" | "adam" | "sgd" | "muon";

/** The rules of each optimizer by name: a parameter follows the first one that takes it. */
export const updateRules: Readonly<Record<OptimizerKind, readonly UpdateRule[]>> = {
  adamw: [adamw],
  adam: [adamRule(adamL2Update)],
  sgd: [sgd],
  muon: [muon, adamw],
};

/** All names of optimizers. */
export const optimizerKinds: readonly OptimizerKind[] = Object.keys(updateRules) as OptimizerKind[];
