import { adamL2Update, adamUpdate, sgdUpdate, type Tensor } from "../../kernels/mod.ts";

/** Settings of an optimizer; each optimizer reads those that it has. */
export interface OptimizerOptions {
  /** Until `beforeStep` gives another. */
  readonly learningRate: number;
  /** AdamW 0.01, else 0. AdamW shrinks the parameters by it, the others add it to the gradient. */
  readonly weightDecay?: number;
  /** Decay of the mean of gradients, 0.9. Adam and AdamW. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients, 0.999. Adam and AdamW. */
  readonly beta2?: number;
  /** Added to the root of the second moment, 1e-8. Adam and AdamW. */
  readonly epsilon?: number;
  /** Share of the last step's direction that stays, 0.9. SGD. */
  readonly momentum?: number;
  /** Largest norm of the whole gradient, which is scaled down to it; 0, none. */
  readonly clip?: number;
  /**
   * What the loss was multiplied by before its gradients were taken, 1: they are divided by it. A power of two keeps the
   * gradients of an f16 step, which are tiny where a loss is a mean of many terms, above the least that f16 can hold.
   *
   * Source: Micikevicius et al. 2017, arXiv:1710.03740, section 3.2
   */
  readonly lossScale?: number;
}

type Update = (p: Tensor, moments: readonly Tensor[], g: Tensor, norm: Tensor, settings: Tensor) => void;

/** What tells one optimizer from another. */
export interface UpdateRule {
  /** Numbers that it keeps for every parameter. */
  readonly moments: readonly string[];
  /** Updates p and the moments in place. `norm` is the gradient's squared norm. */
  readonly update: Update;
  /** What the kernel reads as `settings`; steps count from 1. */
  readonly settings: (
    options: Required<OptimizerOptions>,
    learningRate: number,
    step: number,
  ) => readonly number[];
}

const adamSettings: UpdateRule["settings"] = (
  { beta1, beta2, epsilon, weightDecay, clip },
  learningRate,
  step,
) => {
  // The device's betas are rounded; the corrections must be of the same numbers, or the first steps are off.
  const left = (beta: number) => 1 - Math.fround(beta) ** step;
  return [learningRate, beta1, beta2, epsilon, weightDecay, left(beta1), left(beta2), clip];
};

/** Name of an optimizer. */
export type OptimizerKind = "adamw" | "adam" | "sgd";

/** The optimizers by name. */
export const updateRules = {
  adamw: {
    moments: ["m", "v"],
    update: (p, [m, v], g, norm, settings) => adamUpdate(p, m, v, g, norm, settings),
    settings: adamSettings,
  },
  adam: {
    moments: ["m", "v"],
    update: (p, [m, v], g, norm, settings) => adamL2Update(p, m, v, g, norm, settings),
    settings: adamSettings,
  },
  sgd: {
    moments: ["m"],
    update: (p, [m], g, norm, settings) => sgdUpdate(p, m, g, norm, settings),
    settings: (
      { momentum, weightDecay, clip },
      learningRate,
      step,
    ) => [learningRate, momentum, 0, 0, weightDecay, step === 1 ? 1 : 0, 0, clip],
  },
} satisfies Record<OptimizerKind, UpdateRule>;

/** All names of optimizers. */
export const optimizerKinds: readonly OptimizerKind[] = Object.keys(updateRules) as OptimizerKind[];
