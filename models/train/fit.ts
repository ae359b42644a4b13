import { type Tensor, UserError } from "../../kernels/mod.ts";
import { isCount } from "../../kernels/core/checks.ts";
import { describeValue } from "../../kernels/core/tensor.ts";
import type { Coupling, HostExamples } from "../flow/coupling.ts";
import type { VelocityField } from "../flow/field.ts";
import type { Objective } from "../flow/objective.ts";
import { rejectUnknown } from "../names.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { pause } from "../pause.ts";
import { BatchOrder } from "./batch_order.ts";
import { batchSource, checkData, hostRows, type TrainingData } from "./batch_source.ts";
import { HeldOutLoss, type HeldOutOptions, meanLoss } from "./held_out_loss.ts";
import { progressAt, type Schedule } from "./schedule.ts";
import { Trainer } from "./trainer.ts";
import type { OptimizerKind } from "./update_rules.ts";

/** Options of `fit`. */
export interface FitOptions {
  /** Optimizer steps, by default 1000. */
  readonly steps?: number;
  /** Examples per step; by default 256, or all if there are fewer. */
  readonly batchSize?: number;
  /** Learning rate; by default a constant 0.001. */
  readonly learningRate?: number | Schedule;
  /** Optimizer; by default `adamw`. */
  readonly optimizer?: OptimizerKind;
  /** Training objective; by default flow matching on the network's own path, normally straight. */
  readonly objective?: Objective;
  /** Condition of the field, one row per example: f32[M, ...] or u32[M, ...]. */
  readonly condition?: Tensor;
  /** Probability of replacing each label by "none", for guidance; by default 0. Needs a network with classes. */
  readonly labelDropout?: number;
  /** Held-out data. Its loss is measured after each epoch and at the end; schedules such as `plateau` need it. */
  readonly validation?: Tensor | TrainingData;
  /** Seed of batches, noise and times, an integer in [0, 2^32); by default 46020. */
  readonly seed?: number;
  /** Ends training early; the model keeps its current weights. */
  readonly signal?: AbortSignal;
  /** Called about ten times a second. */
  readonly onProgress?: (progress: FitProgress) => void;
}

/** Progress of `fit`. */
export interface FitProgress {
  /** Steps taken. */
  readonly step: number;
  /** Steps to take. */
  readonly steps: number;
  /** Loss of each step so far. */
  readonly losses: Float32Array;
  /** The latest validation loss, if any. */
  readonly validationLoss?: number;
}

/** Training cannot start or continue. */
export class FitError extends UserError {
  /** Name of the error. */
  override name = "FitError";
}

const known: readonly string[] = [
  "steps",
  "batchSize",
  "learningRate",
  "optimizer",
  "objective",
  "condition",
  "labelDropout",
  "validation",
  "seed",
  "signal",
  "onProgress",
] satisfies (keyof FitOptions)[];

/** Milliseconds of steps to queue between pauses for signals, pages and progress bars. */
const burstMs = 100;

/**
 * Trains a velocity field by flow matching on the current device.
 *
 * @param model its parameters are updated in place
 * @param data x1, f32[M, ...], to pair with standard normal noise; or fixed pairs `{ x0, x1 }`
 * @returns the loss of each step
 * @throws {FitError} if the loss becomes NaN or infinite, an option is invalid, or the schedule needs `validation`
 * @throws {UserError} if the data is not a tensor
 * @throws {TypeError} if an option is unknown, or the velocity does not depend on a parameter
 * @throws {ShapeError} if the velocity does not have the shape of the data, or the condition has another number of rows
 *
 * ```ts
 * import { init, tensor } from "../../kernels/mod.ts";
 * import { createModel, fit } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 });
 * const x1 = tensor(new Float32Array(3 * 16), [3, 1, 4, 4]);
 * const losses = await fit(model, x1, { steps: 2, batchSize: 2 });
 * console.log(losses.length); // 2
 * ```
 * Source: Lipman et al. 2023, arXiv:2210.02747
 */
export async function fit(
  model: Module & VelocityField,
  data: Tensor | TrainingData,
  options: FitOptions = {},
): Promise<Float32Array> {
  rejectUnknown(options, known, "fit()");
  checkModel(model);
  const rows = withCondition(checkData("data", data), options.condition);
  const M = rows.x1.shape[0];
  const {
    steps = 1000,
    batchSize = Math.min(M, 256),
    learningRate = 1e-3,
    optimizer,
    objective,
    labelDropout = 0,
    validation,
    seed = 46020,
    signal,
    onProgress,
  } = options;
  checkCount("steps", steps, 2 ** 24);
  checkCount("batchSize", batchSize, M);
  const schedule = typeof learningRate === "number" ? { learningRate: () => learningRate } : learningRate;
  if ("observe" in schedule && !validation) {
    throw new FitError("Cannot train: the schedule needs a validation loss (expected `validation` data)");
  }
  const shared = { batchSize, seed, ...objective && { objective } };
  const trainer = new Trainer(model, batchSource(rows, await hostOf(rows, objective?.coupling)), {
    ...shared,
    ...optimizer && { optimizer },
    labelDropout,
    learningRate: schedule.learningRate(0),
  });
  const order = new BatchOrder(Uint32Array.from({ length: M }, (_, i) => i), batchSize, seed);
  const measure = validation && validator(model, checkData("validation data", validation), shared);

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
    losses.set(await trainer.losses(), from); // waits for the device
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
    await pause();
  }
  return losses.slice(0, trainer.step);
}

/** The data in host memory, if the coupling needs it. */
async function hostOf(
  { x0, x1, condition }: TrainingData,
  coupling: Coupling | undefined,
): Promise<HostExamples | undefined> {
  if (!coupling?.sees) return undefined;
  if (x0) throw new FitError("Cannot train: x0 pairs the data already (expected no coupling, or no x0)");
  const [values, size] = [await x1.read(), x1.size / x1.shape[0]];
  if (coupling.sees === "values") return hostRows(values, size);
  if (condition?.type === "u32" && condition.shape.length === 1) {
    return hostRows(values, size, await condition.readWords());
  }
  throw new FitError(
    `Cannot train: the coupling needs a label per example as condition, u32[M], not ${condition}`,
  );
}

function validator(model: VelocityField, data: TrainingData, options: HeldOutOptions): () => Promise<number> {
  const V = data.x1.shape[0];
  const examples = Uint32Array.from({ length: V }, (_, i) => i);
  const batchSize = Math.min(options.batchSize, V);
  const heldOut = new HeldOutLoss(model, batchSource(data), { ...options, batchSize });
  return async () => meanLoss(await heldOut.losses(examples));
}

function checkModel(model: Module & VelocityField): void {
  const fail = (why: string) => {
    throw new FitError(`Cannot train: the model ${why}`);
  };
  if (typeof model?.velocity !== "function") {
    fail(`is ${describeValue(model)} (expected a Module with velocity(x, t))`);
  }
  if (namedParameters(model).size === 0) {
    fail("has no parameters (expected layers or tensors in its fields)");
  }
}

function withCondition(data: TrainingData, condition: Tensor | undefined): TrainingData {
  if (condition === undefined) return data;
  if (data.condition) throw new FitError("Cannot train: `condition` is given twice (expected it once)");
  return checkData("data", { ...data, condition });
}

function checkLosses(losses: Float32Array, from: number, end: number): void {
  const bad = losses.subarray(from, end).findIndex((loss) => !Number.isFinite(loss));
  if (bad < 0) return;
  const given = `its loss is ${losses[from + bad]} (expected a finite number)`;
  const advice = "use a smaller learning rate, and check that the data is finite";
  throw new FitError(`Training failed in step ${from + bad + 1}: ${given}; ${advice}`);
}

function checkCount(name: string, count: number, most: number): void {
  if (isCount(count, 1, most)) return;
  throw new FitError(`Cannot train: ${name} is ${count} (expected an integer from 1 to ${most})`);
}
