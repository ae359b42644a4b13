import { adamL2Update, adamUpdate, sgdUpdate, type Tensor } from "../../kernels/mod.ts";

/** Settings of an optimizer. Each kind uses only its own. */
export interface OptimizerOptions {
  /** The rate of steps for which `beforeStep` is given none. */
  readonly learningRate: number;
  /** By default 0.01 for AdamW, else 0. AdamW decays the parameters directly; the others add it to the gradient. */
  readonly weightDecay?: number;
  /** Decay of the first moment, by default 0.9. Adam and AdamW. */
  readonly beta1?: number;
  /** Decay of the second moment, by default 0.999. Adam and AdamW. */
  readonly beta2?: number;
  /** Added to the square root of the second moment, by default 1e-8. Adam and AdamW. */
  readonly epsilon?: number;
  /** Share of the previous update that a step keeps, by default 0.9. SGD. */
  readonly momentum?: number;
  /** Gradients are scaled down to this global norm; by default 0, no clipping. */
  readonly clip?: number;
  /**
   * What the loss was multiplied by, by default 1; gradients are divided by it. In f16 a power of two keeps small
   * gradients, such as those of a mean of many terms, from underflowing.
   *
   * Source: Micikevicius et al. 2017, arXiv:1710.03740, section 3.2
   */
  readonly lossScale?: number;
}

type Update = (p: Tensor, moments: readonly Tensor[], g: Tensor, norm: Tensor, settings: Tensor) => void;

/** An update rule of an optimizer. */
export interface UpdateRule {
  /** Names of the numbers that it keeps per parameter. */
  readonly moments: readonly string[];
  /** Updates p and the moments in place. `norm` is the gradient's squared norm. */
  readonly update: Update;
  /** The kernel's `settings`. Steps count from 1. */
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
  // Bias correction must use the device's rounded betas, or the first steps are off.
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
