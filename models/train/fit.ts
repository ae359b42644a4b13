import { assign, mean, scope, square, type Tensor, UserError } from "../../kernels/mod.ts";
import { describeValue, isCount, refuse } from "../../kernels/core/checks.ts";
import { yieldToEvents } from "../../kernels/devices/device.ts";
import type { Coupling, HostExamples } from "../flow/coupling.ts";
import { justBegun, type VelocityField } from "../flow/field.ts";
import { type ObjectiveParts, withParts } from "../flow/objective.ts";
import { rejectUnknown } from "../names.ts";
import { classesOf, objectiveFor } from "../nets/networks.ts";
import { withParameters } from "../nn/flat_parameters.ts";
import { Module, namedParameters, StateError } from "../nn/module.ts";
import { BatchOrder, batchSource, checkData, hostRows, type TrainingData } from "./batches.ts";
import { HeldOutLoss, type HeldOutOptions, meanLoss } from "./held_out_loss.ts";
import { progressAt, type Schedule } from "./schedule.ts";
import { decodeTrainerState, encodeTrainerState, Trainer } from "./trainer.ts";
import type { OptimizerKind, OptimizerOptions } from "./update_rules.ts";

/** Settings that a state depends on: with different ones, training would not continue as it began. */
export interface FitSettings {
  readonly seed: number;
  readonly batchSize: number;
  readonly examples: number;
  readonly optimizer: string;
  readonly ema: number;
}

/** The state of a call of `fit` besides the trainer. */
export interface FitMemory {
  readonly settings: FitSettings;
  /** Loss of each step, with room for all. */
  readonly losses: Float32Array;
  readonly schedule: Schedule;
  validationLoss?: number;
}

/** Encodes the state of a call of `fit` after the trainer's step. */
export async function encodeFit(trainer: Trainer, memory: FitMemory): Promise<Uint8Array<ArrayBuffer>> {
  const { settings, schedule, validationLoss } = memory;
  const losses = memory.losses.slice(0, trainer.step);
  const fit = { settings, schedule: schedule.state?.() ?? {}, validationLoss };
  return encodeTrainerState(await trainer.state(), {
    tensors: new Map([["losses", { shape: [losses.length], data: losses }]]),
    metadata: { fit: JSON.stringify(fit) },
  });
}

/** Restores a trainer and its memory. If refused, nothing changes. */
export function resumeFit(bytes: Uint8Array, trainer: Trainer, memory: FitMemory): void {
  const source = "the state to resume";
  const { state, extras: { tensors, metadata } } = decodeTrainerState(bytes, source);
  const { settings = {}, schedule = {}, validationLoss } = Object(parsed(metadata.fit));
  const losses = tensors.get("losses")?.data;
  const fail = (why: string, expected: string) => refuse(StateError, `load ${source}: ${why}`, expected);
  if (losses?.length !== state.step) return fail("fit() did not save it", "the result of progress.state()");
  for (const [name, value] of Object.entries(memory.settings)) {
    if (settings[name] !== value) fail(`its ${name} is ${settings[name]}`, `${value}, as in this call`);
  }
  const most = memory.losses.length;
  if (state.step > most) fail(`it is at step ${state.step}`, `at most ${most}, the steps of this call`);
  trainer.restore(state, source);
  memory.schedule.restore?.(schedule);
  memory.losses.set(losses);
  if (typeof validationLoss === "number") memory.validationLoss = validationLoss;
}

function parsed(json = "null"): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Options of `fit`: all settings of training, including those of the optimizer. */
export interface FitOptions extends Omit<OptimizerOptions, "learningRate" | "lossScale"> {
  /** Optimizer steps, by default 1000. */
  readonly steps?: number;
  /** Examples per step; by default 256, or all if there are fewer. */
  readonly batchSize?: number;
  /** Learning rate; by default a constant 0.001. */
  readonly learningRate?: number | Schedule;
  /** Optimizer; by default `adamw`. */
  readonly optimizer?: OptimizerKind;
  /**
   * Decay of averaged weights per step, by default 0, no averaging. The validation loss is theirs, and the model has
   * them when `fit` returns.
   */
  readonly ema?: number;
  /** Parts of the training objective; by default flow matching on the network's own path, normally straight. */
  readonly objective?: ObjectiveParts;
  /** Condition of the field, one row per example, such as labels u32[M]: f32[M, ...] or u32[M, ...]. */
  readonly condition?: Tensor;
  /** Probability of replacing each label by "none", for guidance; by default 0. Needs a network with classes. */
  readonly labelDropout?: number;
  /** Held-out data. Its loss is measured after each epoch and at the end; schedules such as `plateau` need it. */
  readonly validation?: Tensor | TrainingData;
  /** Seed of batches, noise, times and dropout, an integer in [0, 2^32); by default 46020. */
  readonly seed?: number;
  /** Storage of activations; by default `f32`. */
  readonly precision?: "f32" | "f16";
  /** Ends training early; the model keeps its weights of that step. */
  readonly signal?: AbortSignal;
  /**
   * Called about ten times a second, or every `progressSteps` steps, and at the end. Training waits for its promise.
   */
  readonly onProgress?: (progress: FitProgress) => void | Promise<void>;
  /** Steps from one call of `onProgress` to the next. */
  readonly progressSteps?: number;
  /**
   * What `progress.state()` of an earlier call returned. Training continues from there, to the same bits if model, data
   * and options are those of the earlier call.
   */
  readonly resume?: Uint8Array;
}

/** Progress of `fit`. */
export interface FitProgress {
  /** Steps taken. */
  readonly step: number;
  /** Steps to take. */
  readonly steps: number;
  /** Loss of each step so far. */
  readonly losses: Float32Array;
  /** Global norm of the latest gradient, before clipping. */
  readonly gradientNorm: number;
  /** The latest validation loss, if any. */
  readonly validationLoss?: number;
  /** The trainer, whose averaged weights `withParameters` puts into the model for a while. */
  readonly trainer: Trainer;
  /** All that `resume` needs, as a safetensors file. */
  state(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Thrown if training cannot start or continue. */
export class FitError extends UserError {
  /** Name of the error. */
  override name = "FitError";
}

const optionNames: readonly (keyof FitOptions)[] = [
  "steps",
  "batchSize",
  "learningRate",
  "optimizer",
  "weightDecay",
  "beta1",
  "beta2",
  "epsilon",
  "momentum",
  "muonFactor",
  "clip",
  "ema",
  "objective",
  "condition",
  "labelDropout",
  "validation",
  "seed",
  "precision",
  "signal",
  "onProgress",
  "progressSteps",
  "resume",
];

/** Milliseconds of steps to queue between pauses for signals, pages and progress bars. */
const burstMs = 100;

/**
 * Trains a velocity field by flow matching on the current device.
 *
 * @param model its parameters are updated in place
 * @param data x1, f32[M, ...], to pair with standard normal noise; or fixed pairs `{ x0, x1 }`
 * @returns the loss of each step, including those before `resume`
 *
 * ```ts
 * import { init, tensor } from "../../kernels/mod.ts";
 * import { createModel, fit } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 });
 * const x1 = tensor(new Float32Array(3 * 16), [3, 1, 4, 4]);
 * const losses = await fit(model, x1, { steps: 2, batchSize: 2, ema: 0.9, clip: 1 });
 * console.log(losses.length); // 2
 * ```
 * Source: Lipman et al. 2023, arXiv:2210.02747
 */
export async function fit(
  model: Module & VelocityField,
  data: Tensor | TrainingData,
  options: FitOptions = {},
): Promise<Float32Array> {
  rejectUnknown(options, optionNames, "fit()");
  checkModel(model);
  const rows = withCondition(checkData("data", data), options.condition);
  const M = rows.x1.shape[0];
  const {
    steps = 1000,
    batchSize = Math.min(M, 256),
    learningRate = 1e-3,
    optimizer = "adamw",
    ema = 0,
    objective: parts = {},
    condition: _,
    validation,
    seed = 46020,
    signal,
    onProgress,
    progressSteps,
    resume,
    ...others
  } = options;
  checkInteger("steps", steps, 2 ** 24);
  checkInteger("batchSize", batchSize, M);
  if (progressSteps !== undefined) checkInteger("progressSteps", progressSteps, 2 ** 24);
  const schedule = typeof learningRate === "number" ? { learningRate: () => learningRate } : learningRate;
  checkValue(
    "learningRate",
    learningRate,
    typeof schedule?.learningRate === "function",
    "a number or a schedule",
  );
  checkValue("onProgress", onProgress, !onProgress || typeof onProgress === "function", "a function");
  checkValue("signal", signal, !signal || "aborted" in signal, "the signal of an AbortController");
  if (signal?.aborted) refuse(FitError, "train: the signal has already aborted", "one that has not");
  if ("observe" in schedule && !validation) {
    refuse(FitError, "train: the schedule needs a validation loss", "`validation` data");
  }
  justBegun.add(model);
  queueMicrotask(() => justBegun.delete(model));
  const objective = withParts(objectiveFor(model), parts);
  await warnOfScale(rows);
  await checkLabels(model, rows);
  const shared = { batchSize, seed, objective };
  const trainer = new Trainer(model, batchSource(rows, await hostOf(rows, objective.coupling)), {
    ...others,
    ...shared,
    optimizer,
    ema,
    learningRate: schedule.learningRate(0),
  });
  const order = new BatchOrder(Uint32Array.from({ length: M }, (_, i) => i), batchSize, seed);
  const measure = validation && validator(model, trainer, checkData("validation data", validation), shared);

  const settings = { seed, batchSize, examples: M, optimizer, ema };
  const memory: FitMemory = { settings, losses: new Float32Array(steps), schedule };
  if (resume) resumeFit(resume, trainer, memory);
  let burst = 1;
  while (trainer.step < steps && !signal?.aborted) {
    const started = performance.now();
    const from = trainer.step;
    const epoch = order.endAfter(from, 1);
    const call = progressSteps === undefined ? steps : (Math.floor(from / progressSteps) + 1) * progressSteps;
    const end = Math.min(from + burst, steps, call, measure ? epoch : steps);
    while (trainer.step < end) {
      trainer.queueStep(order.batch(trainer.step), schedule.learningRate(progressAt(trainer.step, steps)));
    }
    const { losses, gradientNorms } = await trainer.measures(); // waits for the device
    memory.losses.set(losses, from);
    const target = (end - from) * burstMs / (performance.now() - started);
    burst = Math.max(1, Math.min(2 * burst, Math.floor(target), Trainer.maxOpenLosses));
    checkLosses(memory.losses, from, end);
    if (measure && (end === epoch || end === steps)) {
      memory.validationLoss = await measure();
      schedule.observe?.(memory.validationLoss);
    }
    await yieldToEvents();
    const isDue = progressSteps === undefined || end === call || end === steps || signal?.aborted;
    const { validationLoss } = memory;
    if (isDue) {
      await onProgress?.({
        step: end,
        steps,
        trainer,
        losses: memory.losses.subarray(0, end),
        gradientNorm: gradientNorms[gradientNorms.length - 1],
        ...validationLoss !== undefined && { validationLoss },
        state: () => encodeFit(trainer, memory),
      });
    }
  }
  if (ema > 0) {
    trainer.parameters.forEach((parameter, name) => assign(parameter, trainer.averaged.get(name)!));
  }
  return memory.losses.slice(0, trainer.step);
}

/** The data in host memory, if the coupling needs it. */
async function hostOf(
  { x0, x1, condition }: TrainingData,
  coupling: Coupling | undefined,
): Promise<HostExamples | undefined> {
  if (!coupling?.sees) return undefined;
  if (x0) refuse(FitError, "train: x0 already pairs the data", "no coupling, or no x0");
  const values = await x1.read();
  const size = x1.size / x1.shape[0];
  if (coupling.sees === "values") return hostRows(values, size);
  if (condition?.type === "u32" && condition.shape.length === 1) {
    return hostRows(values, size, await condition.readWords());
  }
  refuse(FitError, `train: the condition is ${condition}`, "a label per example, u32[M], for the coupling");
}

/** Measures the loss of held-out data with the averaged weights. */
function validator(
  model: VelocityField,
  { parameters, averaged }: Trainer,
  data: TrainingData,
  options: HeldOutOptions,
): () => Promise<number> {
  const V = data.x1.shape[0];
  const examples = Uint32Array.from({ length: V }, (_, i) => i);
  const batchSize = Math.min(options.batchSize, V);
  const make = () => new HeldOutLoss(model, batchSource(data), { ...options, batchSize });
  const heldOut = withParameters(parameters, averaged, make);
  return async () => meanLoss(await heldOut.losses(examples));
}

/** Checks labels on the host: the device cannot, and the loss would be NaN. */
async function checkLabels(model: VelocityField, { condition }: TrainingData): Promise<void> {
  const classes = classesOf(model);
  if (classes === 0 || condition?.type !== "u32" || condition.shape.length !== 1) return;
  const labels = await condition.readWords();
  const bad = labels.findIndex((label) => label > classes);
  if (bad < 0) return;
  const expected = `0 to ${classes - 1}, or ${classes} for "none"`;
  refuse(FitError, `train: the label of example ${bad} is ${labels[bad]}`, expected);
}

/** Data whose root mean square is above this is far from the noise, which has 1. */
const largeData = 10;

/** Warns on stderr if the data is so large that training would only learn its scale. */
async function warnOfScale({ x0, x1 }: TrainingData): Promise<void> {
  if (x0) return;
  const size = Math.sqrt((await scope(() => mean(square(x1))).read())[0]);
  if (!(size > largeData && size < Infinity)) return;
  const shown = Number(size.toPrecision(2)).toLocaleString("en");
  console.warn(
    `The data of fit() has values around ${shown}, but the noise around 1: divide the data by ${shown}, and multiply ` +
      "samples by the same number",
  );
}

function checkModel(model: Module & VelocityField): void {
  const fail = (why: string) => {
    refuse(FitError, `train: the model ${why}`);
  };
  if (!(model instanceof Module) || typeof model.velocity !== "function") {
    fail(`is ${describeValue(model)} (expected a Module with velocity(x, t), whose fields are its layers)`);
  }
  if (namedParameters(model).size === 0) fail("has no parameters (expected layers or tensors in its fields)");
}

function withCondition(data: TrainingData, condition: Tensor | undefined): TrainingData {
  if (condition === undefined) return data;
  if (data.condition) {
    refuse(FitError, "train: `condition` is both an option and part of the data", "only one");
  }
  return checkData("data", { ...data, condition });
}

function checkLosses(losses: Float32Array, from: number, end: number): void {
  const bad = losses.subarray(from, end).findIndex((loss) => !Number.isFinite(loss));
  if (bad < 0) return;
  const problem = `its loss is ${losses[from + bad]} (expected a finite number)`;
  const advice = "use a smaller learning rate, and check that the data is finite";
  throw new FitError(`Training failed in step ${from + bad + 1}: ${problem}; ${advice}`);
}

function checkValue(name: string, value: unknown, fits: boolean, expected: string): void {
  if (fits) return;
  refuse(FitError, `train: ${name} is ${describeValue(value)}`, `${expected}`);
}

function checkInteger(name: string, count: number, most: number): void {
  if (isCount(count, 1, most)) return;
  refuse(FitError, `train: ${name} is ${describeValue(count)}`, `an integer from 1 to ${most}`);
}
