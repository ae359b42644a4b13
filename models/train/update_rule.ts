import type { Shape, Tensor } from "../../kernels/mod.ts";

/** Settings of an optimizer. Each kind uses only its own. */
export interface OptimizerOptions {
  /** The rate of steps for which `beforeStep` is given none. */
  readonly learningRate: number;
  /**
   * By default 0.01 for AdamW and Muon, else 0. These two decay the parameters directly; the others add it to the
   * gradient.
   */
  readonly weightDecay?: number;
  /** Decay of the first moment, by default 0.9. Adam, AdamW, and AdamW's part of Muon. */
  readonly beta1?: number;
  /** Decay of the second moment, by default 0.999. Adam, AdamW, and AdamW's part of Muon. */
  readonly beta2?: number;
  /** Added to the square root of the second moment, by default 1e-8. Adam, AdamW, and AdamW's part of Muon. */
  readonly epsilon?: number;
  /** Share of the previous update that a step keeps, by default 0.9. SGD. */
  readonly momentum?: number;
  /** Rate of the orthogonal updates as a multiple of AdamW's, by default 10. Muon. */
  readonly muonFactor?: number;
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

/** Parameters that lie side by side in memory, f32[n] each. */
export interface Run {
  /** The parameters. */
  readonly p: Tensor;
  /** Their gradients; a rule may overwrite them. */
  readonly g: Tensor;
  /** Their moments, in the rule's order. */
  readonly moments: readonly Tensor[];
  /** Shape of the first parameter. */
  readonly shape: Shape;
  /** How many parameters there are. */
  readonly count: number;
}

/** How an optimizer updates parameters, or some of them. */
export interface UpdateRule {
  /** Which parameters it is for, as a test and in words; all by default. */
  readonly takes?: { test(shape: Shape): boolean; readonly what: string };
  /**
   * Parameters of one key may be in one run, if they lie side by side without gaps; by default all, with gaps of
   * zeros.
   */
  readonly alike?: (shape: Shape) => string;
  /** Names of the numbers that it keeps per parameter. */
  readonly moments: readonly string[];
  /** Its numbers of a step, at most 8. Steps count from 1. */
  readonly settings: (
    options: Required<OptimizerOptions>,
    learningRate: number,
    step: number,
  ) => readonly number[];
  /**
   * Prepares the updates of a run.
   *
   * @returns a function that updates parameters and moments in place, from device ops only. `norm` is the gradient's
   * squared norm, f32[1], `settings` its numbers, f32[8]
   */
  readonly bind: (
    run: Run,
    options: Required<OptimizerOptions>,
  ) => (norm: Tensor, settings: Tensor) => void;
}
