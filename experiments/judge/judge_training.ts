import { crossEntropy, gradients, record, type Tensor } from "../../kernels/mod.ts";
import {
  Classifier,
  flatten,
  namedParameters,
  type Normalization,
  oneCycle,
  type Optimizer,
  optimizer,
  progressAt,
  randomInitialiser,
} from "../../models/mod.ts";
import { TrainingError } from "../program/command.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { ClassifierBatches } from "./classifier_batches.ts";
import type { JudgedData } from "./judged_data.ts";

/** What the network sees: pixels in [-1, 1]. */
export const normalization: Normalization = { scale: 2, shift: -1 };

/** Images per step. */
export const batchSize = 64;
/** Largest learning rate, of AdamW on a one-cycle schedule. */
const learningRate = 4e-3;
/** Share of the steps in which the rate rises. */
const warmup = 0.2;
/** Steps between reads of the loss. */
const burst = 20;

/** How a classifier is trained. */
export interface JudgeTrainingOptions {
  readonly steps: number;
  /** Of weights, order and shifts, an integer in [0, 2^32). */
  readonly seed: number;
  /** Ends training early. */
  readonly signal?: AbortSignal;
  /** Called now and then. */
  readonly onProgress?: (step: number, loss: number) => void;
}

/**
 * Trains a classifier on the training images of a data set, on the current device. On the CPU device the same options
 * give the same bits.
 *
 * @returns undefined if it was stopped
 * @throws {TrainingError} if the loss becomes NaN or infinite
 */
export async function trainClassifier(
  data: JudgedData,
  { steps, seed, signal, onProgress }: JudgeTrainingOptions,
): Promise<Classifier | undefined> {
  const model = new Classifier(data, randomInitialiser(seed));
  const parameters = namedParameters(model);
  const rule = optimizer("adamw", flatten(parameters), { learningRate });
  const batches = new ClassifierBatches(data, { batchSize, seed, normalization });
  const training = record(() => trainingStep(model, batches, rule, [...parameters.values()]));
  const { learningRate: rateAt } = oneCycle(learningRate, { warmup });
  while (rule.step < steps) {
    for (let i = 0; i < burst && rule.step < steps; i++) {
      const { step } = rule;
      batches.load(step);
      rule.beforeStep(rateAt(progressAt(step, steps)));
      training.run();
    }
    const [loss] = await training.result.read();
    if (!Number.isFinite(loss)) {
      throw new TrainingError(
        `Cannot train a judge for ${data.name}: the loss is ${loss} after step ${rule.step}; try another --seed`,
      );
    }
    onProgress?.(rule.step, loss);
    await yieldToSignals();
    if (signal?.aborted) return undefined;
  }
  return model;
}

/** Forward, backward and update; the loss of the batch. */
function trainingStep(
  model: Classifier,
  { x, labels }: ClassifierBatches,
  rule: Optimizer,
  parameters: readonly Tensor[],
): Tensor {
  const loss = crossEntropy(model.forward(x).logits, labels);
  rule.update(gradients(loss, parameters));
  return loss;
}
