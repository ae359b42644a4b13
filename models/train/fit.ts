import type { Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import type { Objective } from "../flow/objective.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { BatchOrder } from "./batch_order.ts";
import { rowsOf } from "./batch_source.ts";
import { HeldOutLoss, meanLoss } from "./held_out_loss.ts";
import { progressAt, type Schedule } from "./schedule.ts";
import { Trainer } from "./trainer.ts";
import type { OptimizerKind } from "./update_rules.ts";

/** How `fit` trains. */
export interface FitOptions {
  /** Steps of the optimizer. */
  readonly steps: number;
  /** Examples a step; by default 256, or all if there are fewer. */
  readonly batchSize?: number;
  /** By default 0.001 throughout. */
  readonly learningRate?: number | Schedule;
  /** By default `adamw`. */
  readonly optimizer?: OptimizerKind;
  /** What the network learns; by default flow matching on straight paths. */
  readonly objective?: Objective;
  /** Condition of the field, one row for each example: f32[M, ...] or u32[M, ...]. */
  readonly condition?: Tensor;
  /** Held-out data whose loss is measured once an epoch and at the end; a schedule that follows it needs some. */
  readonly validation?: Validation;
  /** Of batches, noise and times: integer in [0, 2^32), by default 46020. The weights are as the model has them. */
  readonly seed?: number;
  /** Ends training early; the model keeps what it has learnt. */
  readonly signal?: AbortSignal;
  /** Hears some ten times a second how far training is. */
  readonly onProgress?: (progress: FitProgress) => void;
}

/** Data to measure the loss on. */
export interface Validation {
  /** Data, f32[V, ...]. */
  readonly x1: Tensor;
  /** Condition of the field, one row for each example. */
  readonly condition?: Tensor;
}

/** How far `fit` is. */
export interface FitProgress {
  /** Steps taken. */
  readonly step: number;
  /** Steps to take. */
  readonly steps: number;
  /** Loss of each step so far. */
  readonly losses: Float32Array;
  /** The latest loss of the held-out data, if there is one. */
  readonly validationLoss?: number;
}

/** Training cannot go on, or not begin. */
export class FitError extends Error {
  /** Told from other errors by this name. */
  override name = "FitError";
}

/** Milliseconds of steps after which others have their turn: a signal, a page, a progress bar. */
const burstMs = 100;

/**
 * Trains a velocity field by flow matching, on the device in use. Noise is standard normal.
 *
 * @param model its parameters are updated in place
 * @param x1 data, f32[M, ...]
 * @returns the loss of each step taken
 * @throws {FitError} if the loss stops being a number, an option makes no sense, or a schedule that follows the
 * validation loss gets none
 * @throws {ShapeError} if the velocity has not the shape of the data
 *
 * ```ts
 * import { init, tensor } from "../../kernels/mod.ts";
 * import { createModel, fit } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * const x1 = tensor(new Float32Array(3 * 16), [3, 1, 4, 4]);
 * const losses = await fit(model, x1, { steps: 2, batchSize: 2 });
 * console.log(losses.length); // 2
 * ```
 * Source: Lipman et al. 2023, arXiv:2210.02747
 */
export async function fit(
  model: Module & VelocityField,
  x1: Tensor,
  { steps, seed = 46020, signal, onProgress, ...options }: FitOptions,
): Promise<Float32Array> {
  const M = x1.shape[0];
  const { batchSize = Math.min(M, 256), learningRate = 1e-3, validation } = options;
  checkExamples("data", M);
  checkCount("steps", steps, 2 ** 24);
  checkCount("batchSize", batchSize, M);
  checkRows("condition", options.condition, M);
  const schedule = typeof learningRate === "number" ? { learningRate: () => learningRate } : learningRate;
  if ("observe" in schedule && !validation) {
    throw new FitError(
      "Cannot train: the schedule follows the validation loss, and there is no `validation`",
    );
  }
  const trainer = trainerOf(model, x1, {
    ...options,
    batchSize,
    seed,
    learningRate: schedule.learningRate(0),
  });
  const order = new BatchOrder(Uint32Array.from({ length: M }, (_, i) => i), batchSize, seed);
  const measure = validation && validator(model, validation, { ...options, batchSize, seed });

  const losses = new Float32Array(steps);
  let validationLoss: number | undefined;
  let burst = 1;
  while (trainer.step < steps && !signal?.aborted) {
    const started = performance.now();
    const from = trainer.step;
    const epoch = order.endAfter(from, 1);
    const end = Math.min(from + burst, steps, measure ? epoch : steps);
    while (trainer.step < end) {
      trainer.queueStep(order.batch(trainer.step), schedule.learningRate(progressAt(trainer.step, steps)));
    }
    losses.set(await trainer.losses(), from); // waits until the device has done them
    const wanted = (end - from) * burstMs / (performance.now() - started);
    burst = Math.max(1, Math.min(2 * burst, Math.floor(wanted), Trainer.maxOpenLosses));
    checkLosses(losses, from, end);
    if (measure && (end === epoch || end === steps)) {
      validationLoss = await measure();
      schedule.observe?.(validationLoss);
    }
    onProgress?.({
      step: end,
      steps,
      losses: losses.subarray(0, end),
      ...validationLoss !== undefined && { validationLoss },
    });
    await new Promise((resolve) => setTimeout(resolve)); // signals and timers have their turn
  }
  return losses.slice(0, trainer.step);
}

type Settings = Pick<FitOptions, "optimizer" | "objective" | "condition"> & {
  readonly batchSize: number;
  readonly seed: number;
};

function trainerOf(
  model: Module & VelocityField,
  x1: Tensor,
  { optimizer, objective, condition, batchSize, seed, learningRate }: Settings & {
    readonly learningRate: number;
  },
): Trainer {
  if (namedParameters(model).size === 0) throw new FitError("Cannot train a model without parameters");
  return new Trainer(model, rowsOf(x1, condition), {
    batchSize,
    seed,
    learningRate,
    ...optimizer && { optimizer },
    ...objective && { objective },
  });
}

/** Measures the mean loss on held-out data, always with the same noise and times. */
function validator(
  model: VelocityField,
  { x1, condition }: Validation,
  { batchSize, seed, objective }: Settings,
): () => Promise<number> {
  const V = x1.shape[0];
  checkExamples("validation data", V);
  checkRows("condition of the validation", condition, V);
  const examples = Uint32Array.from({ length: V }, (_, i) => i);
  const heldOut = new HeldOutLoss(model, rowsOf(x1, condition), {
    batchSize: Math.min(batchSize, V),
    seed,
    ...objective && { objective },
  });
  return async () => meanLoss(await heldOut.losses(examples));
}

function checkLosses(losses: Float32Array, from: number, end: number): void {
  const bad = losses.subarray(from, end).findIndex((loss) => !Number.isFinite(loss));
  if (bad < 0) return;
  throw new FitError(
    `Training failed in step ${from + bad + 1}: its loss is ${losses[from + bad]} (expected a number); ` +
      `use a smaller learning rate, and check that the data is finite`,
  );
}

function checkExamples(what: string, count: number): void {
  if (count === 0) throw new FitError(`Cannot train: the ${what} has no examples`);
}

function checkRows(name: string, rows: Tensor | undefined, count: number): void {
  if (!rows || rows.shape[0] === count) return;
  throw new FitError(`Cannot train: the ${name} is ${rows} (expected ${count} rows, one for each example)`);
}

function checkCount(name: string, count: number, most: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= most) return;
  throw new FitError(`Cannot train: ${name} is ${count} (expected an integer from 1 to ${most})`);
}
