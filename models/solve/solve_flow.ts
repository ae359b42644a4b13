import { concat, scope, ShapeError, slice, type Tensor, tensor } from "../../kernels/mod.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { meanVelocityOf, traitsOf, type VelocityField } from "../flow/field.ts";
import { rowsAt } from "../flow/rows.ts";
import { rejectUnknown } from "../names.ts";
import { samplerFor } from "./adaptive_sampler.ts";
import { checkBatch, type SamplerOptions, type Solution } from "./sampler.ts";
import { solverOptions } from "./solvers.ts";
import type { Span } from "./time_grids.ts";

/** Options for working in batches. */
export interface BatchOptions {
  /** Largest batch; by default 256, for likelihoods 64. */
  readonly batch?: number;
  /** Called with the samples done, including fractions of the current batch. Promises are awaited; throw to stop. */
  readonly onProgress?: (done: number) => void | Promise<void>;
}

/** Options of {@linkcode solveFlow}. */
export interface SolveFlowOptions extends SamplerOptions, Span, BatchOptions {}

/** Samples and their cost. */
export interface SolvedFlow extends Pick<Solution, "steps"> {
  /** f32[N, C, H, W] on the host. */
  readonly samples: Float32Array;
  /** Evaluations of the field per sample, averaged over samples. */
  readonly evaluations: number;
  /** Evaluations of each batch. */
  readonly batches: readonly number[];
}

/**
 * Follows the flow of samples in batches, with any solver: from noise to data, or between any two times.
 *
 * ```ts
 * import { init, tensor } from "../../kernels/mod.ts";
 * import { createModel, noise, solveFlow } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * const x0 = noise(0, [3, 1, 4, 4]);
 * const { samples, evaluations } = await solveFlow(model, x0, { solver: "dopri5", rtol: 1e-3 });
 * console.log(samples.length, evaluations);
 * const back = await solveFlow(model, tensor(samples, x0.shape), { from: 1, to: 0, steps: 10 });
 * console.log(back.evaluations); // 20
 * ```
 *
 * @param x state at time `from`, f32[N, C, H, W]; by default noise
 * @param options times and grids are scaled to the span from `from` to `to`, and reversed if it goes back
 * @throws as {@linkcode Sampler} and {@linkcode AdaptiveSampler}
 */
export async function solveFlow(
  model: VelocityField,
  x: Tensor,
  options: SolveFlowOptions = {},
): Promise<SolvedFlow> {
  const samples = new Float32Array(checkTensor("solve", "x is", x).size);
  const batches: Omit<SolvedBatch, "samples">[] = [];
  for await (const { samples: own, ...cost } of solveInBatches(model, x, options)) {
    samples.set(own, cost.first * x.size / x.shape[0]);
    batches.push(cost);
  }
  return { samples, ...costOf(batches) };
}

/** A batch of samples that {@linkcode solveInBatches} has solved. */
export interface SolvedBatch extends Pick<Solution, "evaluations" | "steps"> {
  /** Index of its first sample. */
  readonly first: number;
  /** Number of its samples. */
  readonly count: number;
  /** f32[count, C, H, W] on the host. */
  readonly samples: Float32Array;
}

/** The cost of all samples. */
export function costOf(batches: readonly Omit<SolvedBatch, "samples">[]): Omit<SolvedFlow, "samples"> {
  const N = batches.reduce((sum, { count }) => sum + count, 0);
  return {
    evaluations: batches.reduce((sum, { evaluations, count }) => sum + evaluations * count / N, 0),
    batches: batches.map(({ evaluations }) => evaluations),
    ...batches[0].steps && { steps: batches.flatMap(({ steps }) => steps!) },
  };
}

/**
 * Follows the flow of samples as {@linkcode solveFlow} does, and yields each batch, so that memory holds one batch at a
 * time.
 */
export async function* solveInBatches(
  model: VelocityField,
  x: Tensor,
  options: SolveFlowOptions = {},
): AsyncGenerator<SolvedBatch, void, void> {
  rejectUnknown(options, [...solverOptions, "condition", "from", "to", "batch", "onProgress"], "solveFlow()");
  const { batch = 256, condition, from = 0, to = 1, onProgress, ...how } = options;
  const batches = new SampleBatches(checkTensor("solve", "x is", x), batch, condition);
  const sampler = samplerFor(batches.field(model), batches.shape, how);
  for (const { first, fresh, count, x0 } of batches) {
    const solved = await sampler.solve(x0, {
      from,
      to,
      row: first,
      onProgress: (share) => onProgress?.(Math.floor(fresh + count * share)),
    });
    const values = await solved.x.read();
    yield {
      first: fresh,
      count,
      samples: values.subarray(values.length - count * x.size / x.shape[0]),
      evaluations: solved.evaluations,
      ...solved.steps && { steps: solved.steps.slice(fresh - first) },
    };
  }
}

/** A batch of samples. */
export interface SampleBatch {
  /** Index of its first sample. */
  readonly first: number;
  /** Index of its first sample that is not in an earlier batch. */
  readonly fresh: number;
  /** Number of samples that are not in an earlier batch. */
  readonly count: number;
  /** State of the batch, f32[length, C, H, W]. */
  readonly x0: Tensor;
}

/** Splits samples into batches of one size, so that one recorded step serves all. The last one may overlap. */
export class SampleBatches {
  /** Samples in each batch. */
  readonly length: number;
  readonly #x0: Tensor;
  readonly #condition: Tensor | undefined;
  /** Indices of the current batch, to select rows of the condition. */
  readonly #rows: Tensor;

  /**
   * Splits states f32[N, C, H, W] into batches of at most `batch`.
   *
   * @throws {RangeError} if the batch is not a positive integer
   * @throws {ShapeError} if there are no samples, or a condition does not have one row per sample
   */
  constructor(x0: Tensor, batch: number, condition?: Tensor) {
    checkBatch(x0.shape);
    checkCount("sample", "batch", batch);
    const N = x0.shape[0];
    if (condition && checkTensor("sample", "the condition is", condition).shape[0] !== N) {
      throw new ShapeError(`Cannot sample ${N} images with the condition ${condition} (expected ${N} rows)`);
    }
    this.length = Math.ceil(N / Math.ceil(N / batch));
    this.#x0 = x0;
    this.#condition = condition;
    this.#rows = tensor(new Uint32Array(this.length));
  }

  /** [length, C, H, W] of a batch. */
  get shape(): readonly number[] {
    return [this.length, ...this.#x0.shape.slice(1)];
  }

  /** The field with the condition of the current batch. */
  field(model: VelocityField): VelocityField {
    const condition = this.#condition;
    if (!condition) return model;
    const rows = () => rowsAt(condition, this.#rows);
    return {
      ...traitsOf(model),
      velocity: (x, t) => model.velocity(x, t, rows()),
      ...model.meanVelocity && { meanVelocity: (x, t, d) => meanVelocityOf(model, x, t, d, rows()) },
    };
  }

  /** The batches in order. Advancing also switches the condition. */
  *[Symbol.iterator](): Generator<SampleBatch, void, void> {
    const { length } = this;
    const [N] = this.#x0.shape;
    for (let fresh = 0; fresh < N; fresh += length) {
      const first = Math.min(fresh, N - length);
      this.#rows.write(Uint32Array.from({ length }, (_, i) => first + i));
      yield { first, fresh, count: first + length - fresh, x0: slice(this.#x0, 0, first, length) };
    }
  }

  /** Joins the results of all batches, dropping rows that repeat an earlier batch. */
  join(parts: readonly (readonly Tensor[])[]): Tensor[] {
    const last = parts.length - 1;
    const repeated = parts.length * this.length - this.#x0.shape[0]; // rows of the last batch in the one before
    const fresh = (x: Tensor, i: number) => i < last ? x : slice(x, 0, repeated, this.length - repeated);
    return scope(() => parts[0].map((_, k) => concat(parts.map(({ [k]: x }, i) => fresh(x, i)), 0)));
  }
}
