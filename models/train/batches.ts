import {
  less,
  randomNormal,
  randomUniform,
  type Shape,
  ShapeError,
  Tensor,
  tensor,
  UserError,
  where,
} from "../../kernels/mod.ts";
import { checkCount, describeValue, refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { HostExamples, NoiseDraw } from "../flow/coupling.ts";
import type { Objective, Pairs } from "../flow/objective.ts";
import { rowsAt } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import { checkedSeed, permutation, streams } from "../random.ts";

/**
 * The examples of each training step. Every epoch is a new permutation, so each example is seen once per epoch. Batches
 * may span two epochs, so they all have one size.
 */
export class BatchOrder {
  #orders = new Map<number, Uint32Array>();

  /** Orders examples, given by their indices. */
  constructor(readonly examples: Uint32Array, readonly batchSize: number, readonly seed: number) {
    checkCount("order batches", "batchSize", batchSize);
    checkedSeed(seed);
    if (examples.length === 0) refuse(RangeError, "order batches: there are no examples");
  }

  /** Steps needed for `intervals` intervals of `epochs` epochs each. */
  stepsFor(intervals: number, epochs = 1): number {
    return Math.ceil(intervals * this.#examplesIn(epochs) / this.batchSize);
  }

  /** Complete epochs after a number of steps. */
  epochsAfter(steps: number): number {
    return this.intervalsAfter(steps, 1);
  }

  /** Complete intervals of `epochs` epochs after a number of steps. `epochs` may be fractional. */
  intervalsAfter(steps: number, epochs: number): number {
    return Math.floor(steps * this.batchSize / this.#examplesIn(epochs));
  }

  /** Whether an interval of `epochs` epochs ends in steps (from, to]; false for 0 epochs. */
  endsWithin(from: number, to: number, epochs: number): boolean {
    return epochs > 0 && this.intervalsAfter(to, epochs) > this.intervalsAfter(from, epochs);
  }

  /** The first step after `step` at which an interval of `epochs` epochs ends; Infinity for 0 epochs. */
  endAfter(step: number, epochs: number): number {
    return epochs > 0 ? this.stepsFor(this.intervalsAfter(step, epochs) + 1, epochs) : Infinity;
  }

  /** Indices of the examples of a step, counted from 0. */
  batch(step: number): Uint32Array<ArrayBuffer> {
    checkCount("order batches", "step", step, 0);
    const n = this.examples.length;
    return Uint32Array.from({ length: this.batchSize }, (_, i) => {
      const position = step * this.batchSize + i;
      return this.examples[this.#order(Math.floor(position / n))[position % n]];
    });
  }

  /** Rounded, so that all methods agree on where an interval ends. */
  #examplesIn(epochs: number): number {
    return Math.max(1, Math.round(epochs * this.examples.length));
  }

  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      this.#orders.delete(epoch - 2);
      order = permutation(this.seed, streams.order, epoch, this.examples.length);
      this.#orders.set(epoch, order);
    }
    return order;
  }
}

/** Data for training or validation, or a batch of it: one example per row. */
export interface TrainingData {
  /** Data, f32[M, ...]. */
  readonly x1: Tensor;
  /** Noise paired with each row, as for a distillation; by default drawn at each step. */
  readonly x0?: Tensor;
  /** Condition of the field, one row per example: f32[M, ...] or u32[M, ...]. */
  readonly condition?: Tensor;
}

/** A data set, on the device or brought there batch by batch. */
export interface BatchSource {
  /** Shape of one example, without the batch axis. */
  readonly shape: Shape;
  /** Makes room on the device for a batch of examples. */
  stage(batchSize: number): StagedBatch;
  /** The same examples in host memory, for couplings that need them. */
  readonly host?: HostExamples;
}

/** Room on the device for one batch of examples. */
export interface StagedBatch {
  /**
   * Chooses the examples of the next run by their indices u32[batchSize], augmented as at the step of `draw`, if the
   * data is augmented.
   */
  write(examples: Uint32Array, draw: NoiseDraw): void;
  /** The chosen examples, using only device ops, so that they can be recorded. */
  batch(): TrainingData;
}

/**
 * Checks data, and turns a tensor into `{ x1 }`.
 *
 * @param name what the data is, for messages
 */
export function checkData(name: string, data: Tensor | TrainingData): TrainingData {
  if (data instanceof Tensor) return checkData(name, { x1: data });
  const fields: Readonly<Record<string, unknown>> = Object(data);
  if (!(fields.x1 instanceof Tensor)) {
    const hint = ArrayBuffer.isView(data) ? "; tensor(values, [M, ...]) makes one" : "";
    const expected = `a tensor f32[M, ...], or { x0, x1 }${hint}`;
    refuse(UserError, `use the ${name}: it is ${describeValue(data)}`, expected);
  }
  rejectUnknown(data, ["x1", "x0", "condition"], `the ${name}`);
  for (const [part, value] of Object.entries(fields)) {
    if (value === undefined || value instanceof Tensor) continue;
    refuse(UserError, `use the ${name}: its ${part} is ${describeValue(value)}`, "a tensor");
  }
  const { x1, x0, condition } = data;
  if (!x1.shape[0]) refuse(ShapeError, `use the ${name}: it has no rows: ${x1}`);
  if (x0 && `${x0.shape}` !== `${x1.shape}`) {
    refuse(ShapeError, `use the ${name}: x0 is ${x0} for x1 ${x1}`, "one shape");
  }
  if (!condition || condition.shape[0] === x1.shape[0]) return data;
  refuse(ShapeError, `use the ${name}: the condition is ${condition} for x1 ${x1}`, `${x1.shape[0]} rows`);
}

/**
 * Makes batches from rows of tensors.
 *
 * @param data x1 f32[M, ...], optionally with noise and condition
 * @param host the same rows in host memory, for couplings that need them
 */
export function batchSource(data: Tensor | TrainingData, host?: HostExamples): BatchSource {
  const { x1, x0, condition } = checkData("data", data);
  return {
    shape: x1.shape.slice(1),
    ...host && { host },
    stage(batchSize) {
      const indices = tensor(new Uint32Array(batchSize));
      return {
        write: (examples) => indices.write(examples),
        batch: () => ({
          x1: rowsAt(x1, indices),
          ...x0 && { x0: rowsAt(x0, indices) },
          ...condition && { condition: rowsAt(condition, indices) },
        }),
      };
    },
  };
}

/** Examples of a source, as they are at step 0 of seed 0. */
export function batchOf(source: BatchSource, examples: Uint32Array): TrainingData {
  const room = source.stage(examples.length);
  room.write(examples, { seed: 0, step: 0 });
  return room.batch();
}

/** Refuses a source that is not a `BatchSource`, but for example a tensor, and missing options. */
export function checkSource(task: string, source: BatchSource, options: object | undefined): void {
  if (typeof source?.stage !== "function") {
    const shown = source instanceof Tensor ? `${source}` : describeValue(source);
    refuse(UserError, `${task}: the source is ${shown}`, "the result of batchSource(data)");
  }
  if (options) return;
  refuse(UserError, `${task}: the options are missing`, "at least batchSize and seed");
}

/**
 * Rows in host memory, for couplings.
 *
 * @param values f32[M, size]
 * @param labels u32[M], if the rows have classes
 */
export function hostRows(values: Float32Array, size: number, labels?: Uint32Array): HostExamples {
  return {
    size,
    values(examples) {
      const rows = new Float32Array(examples.length * size);
      examples.forEach((m, n) => rows.set(values.subarray(m * size, (m + 1) * size), n * size));
      return rows;
    },
    ...labels && { labels: (examples: Uint32Array) => Uint32Array.from(examples, (m) => labels[m]) },
  };
}

/** Replaces random labels by "none", so that one network learns conditional and unconditional velocities. */
export interface LabelDropout {
  /** Probability of replacing each label, in [0, 1]. */
  readonly probability: number;
  /** The label that means "none". */
  readonly none: number;
}

/** Draws pairs of noise and data for a recorded step. What changes between runs is stored in small tensors. */
export class PairDraw {
  readonly #batch: StagedBatch;
  readonly #noiseKey = tensor(new Uint32Array(3));
  readonly #timeKey = tensor(new Uint32Array(3));
  readonly #dropoutKey = tensor(new Uint32Array(3));

  /**
   * Makes the tensors.
   *
   * @param streams the random streams of noise and times
   * @param dropout dropout of labels; by default none. Source: Ho and Salimans 2022, arXiv:2207.12598, algorithm 1
   */
  constructor(
    readonly source: BatchSource,
    readonly batchSize: number,
    readonly streams: { readonly noise: number; readonly time: number },
    readonly dropout?: LabelDropout,
  ) {
    checkCount("draw pairs", "batchSize", batchSize);
    if (dropout && !(dropout.probability >= 0 && dropout.probability <= 1)) {
      refuse(RangeError, `drop labels with probability ${dropout.probability}`, "a number from 0 to 1");
    }
    this.#batch = source.stage(batchSize);
  }

  /**
   * Sets the examples, u32[batchSize], and random numbers of the next run: each counter, such as the step, has its own.
   */
  write(examples: Uint32Array, seed: number, counter: number): void {
    this.#batch.write(examples, { seed, step: counter });
    this.#noiseKey.write(Uint32Array.of(seed, this.streams.noise, counter));
    this.#timeKey.write(Uint32Array.of(seed, this.streams.time, counter));
    if (this.dropout) this.#dropoutKey.write(Uint32Array.of(seed, streams.labelDropout, counter));
  }

  /** The pairs, using only device ops. @param planned another batch size, to plan its memory */
  pairs({ times }: Pick<Objective, "times">, planned?: number): Pairs {
    const batch = planned === undefined ? this.#batch : this.source.stage(planned);
    const { x1, x0, condition } = batch.batch();
    const N = planned ?? this.batchSize;
    const t: unknown = times.draw(this.#timeKey, N);
    return {
      x1,
      x0: x0 ?? randomNormal(this.#noiseKey, x1.shape),
      t: checkTensor("draw pairs", "the times are", t, [N]),
      ...(condition || this.dropout) && { condition: this.#condition(condition) },
    };
  }

  #condition(labels: Tensor | undefined): Tensor {
    if (!labels) refuse(TypeError, "drop labels: the data has none", "labels as its condition");
    if (!this.dropout) return labels;
    if (labels.type !== "u32") refuse(TypeError, `drop labels: the condition is ${labels}`, "labels, u32[M]");
    const { probability, none } = this.dropout;
    return where(less(randomUniform(this.#dropoutKey, labels.shape), probability), none, labels);
  }
}
