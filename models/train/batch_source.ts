import { type Shape, ShapeError, Tensor, tensor, UserError } from "../../kernels/mod.ts";
import { describeValue } from "../../kernels/core/checks.ts";
import type { HostExamples, NoiseDraw } from "../flow/coupling.ts";
import { rowsAt } from "../flow/rows.ts";
import { rejectUnknown } from "../names.ts";

/** Data for training or validation, or a batch of it: one example per row. */
export interface TrainingData {
  /** Data, f32[M, ...]. */
  readonly x1: Tensor;
  /** Noise paired with each row, as for reflow; by default drawn at each step. */
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
 * @throws {UserError} if it is neither a tensor nor an object with x1, or a field is unknown or not a tensor
 * @throws {ShapeError} if there are no rows, or x0 or the condition does not match
 */
export function checkData(name: string, data: Tensor | TrainingData): TrainingData {
  if (data instanceof Tensor) return checkData(name, { x1: data });
  const fields: Readonly<Record<string, unknown>> = Object(data);
  if (!(fields.x1 instanceof Tensor)) {
    const hint = ArrayBuffer.isView(data) ? "; tensor(values, [M, ...]) makes one" : "";
    throw new UserError(
      `Cannot use the ${name}: it is ${
        describeValue(data)
      } (expected a tensor f32[M, ...], or { x0, x1 }${hint})`,
    );
  }
  rejectUnknown(data, ["x1", "x0", "condition"], `the ${name}`);
  for (const [part, value] of Object.entries(fields)) {
    if (value === undefined || value instanceof Tensor) continue;
    throw new UserError(`Cannot use the ${name}: its ${part} is ${describeValue(value)} (expected a tensor)`);
  }
  const { x1, x0, condition } = data;
  if (!x1.shape[0]) throw new ShapeError(`Cannot use the ${name}: it has no rows: ${x1}`);
  if (x0 && `${x0.shape}` !== `${x1.shape}`) {
    throw new ShapeError(`Cannot use the ${name}: x0 is ${x0} for x1 ${x1} (expected one shape)`);
  }
  if (!condition || condition.shape[0] === x1.shape[0]) return data;
  throw new ShapeError(
    `Cannot use the ${name}: the condition is ${condition} for x1 ${x1} (expected ${x1.shape[0]} rows)`,
  );
}

/**
 * Makes batches from rows of tensors.
 *
 * @param data x1 f32[M, ...], optionally with noise and condition
 * @param host the same rows in host memory, for couplings that need them
 * @throws {UserError} if the data is not a tensor
 * @throws {ShapeError} if there are no rows, or their numbers differ
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

/** @throws {UserError} if the source is not a `BatchSource`, but for example a tensor, or the options are missing */
export function checkSource(task: string, source: BatchSource, options: object | undefined): void {
  if (typeof source?.stage !== "function") {
    const shown = source instanceof Tensor ? `${source}` : describeValue(source);
    throw new UserError(
      `Cannot ${task}: the source is ${shown} (expected the result of batchSource(data))`,
    );
  }
  if (options) return;
  throw new UserError(`Cannot ${task}: the options are missing (expected at least batchSize and seed)`);
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
