import {
  concat,
  scope,
  type Shape,
  ShapeError,
  slice,
  type Tensor,
  tensor,
  UserError,
} from "../../kernels/mod.ts";
import { checkCount, describeValue, isCount, refuse } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { justBegun, meanVelocityOf, traitsOf, type VelocityField } from "../flow/field.ts";
import { rowsAt } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import { noise } from "../random.ts";
import { samplerFor } from "./adaptive_sampler.ts";
import { checkBatch, Sampler, type SamplerOptions, type Snapshot, type Solution } from "./sampler.ts";
import { flowSolverOf, isAdaptive, solverOptions } from "./solvers.ts";
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

  /** Splits states f32[N, C, H, W] into batches of at most `batch`. */
  constructor(x0: Tensor, batch: number, condition?: Tensor) {
    checkBatch(x0.shape);
    checkCount("sample", "batch", batch);
    const N = x0.shape[0];
    if (condition && checkTensor("sample", "the condition is", condition).shape[0] !== N) {
      refuse(ShapeError, `sample ${N} images with the condition ${condition}`, `${N} rows`);
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

/** Options of {@linkcode sample}. If the model knows the shape of a sample, only `count` is needed. */
export interface SampleOptions extends SamplerOptions {
  /** Number of samples. */
  readonly count?: number;
  /** [C, H, W] of a sample; by default the model's `shape`. */
  readonly shape?: Shape;
  /** Seed of the initial noise and of the noise added by `sde`, an integer in [0, 2^32); by default 0. */
  readonly seed?: number;
  /** Initial noise, f32[N, C, H, W], instead of `count`, `shape` and `seed`. */
  readonly x0?: Tensor;
  /** Largest batch; by default 256. */
  readonly batch?: number;
}

/**
 * Samples from a model by solving dx/dt = v(x, t) from noise at t = 0 to data at t = 1, by default in 20 steps of
 * Heun's method. With a tolerance, steps are adaptive and the result is a promise. `solveFlow` also returns the cost.
 *
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createModel, sample } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * const x1 = sample(model, { count: 3, shape: [1, 4, 4], steps: 2 });
 * console.log(x1.shape); // [3, 1, 4, 4]
 * console.log((await sample(model, { x0: x1, solver: "dopri5", rtol: 1e-2 })).shape); // the same
 * ```
 *
 * @returns f32[N, C, H, W]
 *
 * @throws {SolverError} as a rejected promise, if adaptive steps get too short or too many
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 1
 */
export function sample(
  model: VelocityField,
  options: SampleOptions & ({ readonly rtol: number } | { readonly atol: number }),
): Promise<Tensor>;
/** Samples in given steps. */
export function sample(
  model: VelocityField,
  options?: SampleOptions & { readonly rtol?: undefined; readonly atol?: undefined },
): Tensor;
export function sample(model: VelocityField, options: SampleOptions = {}): Tensor | Promise<Tensor> {
  rejectUnknown(options, [...startOptions, ...solverOptions, "condition", "batch"], "sampling");
  const { batch = 256, condition, ...how } = samplerOptionsOf(options);
  if (isAdaptive(how)) {
    const x0 = startOf(model, options);
    return solveFlow(model, x0, { ...how, batch, condition })
      .then(({ samples }) => tensor(samples, x0.shape));
  }
  return scope(() => {
    const batches = new SampleBatches(startOf(model, options), batch, condition);
    const sampler = new Sampler(batches.field(model), batches.shape, how);
    return batches.join(Array.from(batches, ({ x0, first }) => [sampler.run(x0, { row: first })]))[0];
  });
}

/**
 * Samples from a model in given steps, with a snapshot at each time.
 *
 * @example
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createModel, trajectory } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * for await (const { t, image } of trajectory(model, { count: 3, shape: [1, 4, 4], steps: 2 })) {
 *   console.log(t, image.length); // 0 48, then 0.5 48 and 1 48
 * }
 * ```
 *
 * @returns snapshots in host memory, in order; the last one is the data, without velocity
 */
export function trajectory(
  model: VelocityField,
  options: Omit<SampleOptions, "batch" | "rtol" | "atol" | "maxEvaluations"> = {},
): AsyncGenerator<Snapshot, void, void> {
  rejectUnknown(options, [...startOptions, ...solverOptions, "condition"], "sampling");
  const x0 = startOf(model, options);
  return new Sampler(model, x0.shape, samplerOptionsOf(options)).trajectory(x0);
}

/** Options that determine the initial noise. */
const startOptions = ["count", "shape", "seed", "x0"] as const;

function samplerOptionsOf({ x0: _, count: _count, shape: _shape, seed, ...how }: SampleOptions) {
  return { ...how, ...seed !== undefined && flowSolverOf(how.solver).addsNoise && { seed } };
}

function startOf(model: VelocityField, options: SampleOptions): Tensor {
  const { x0, count, seed = 0 } = options;
  if (justBegun.has(model)) {
    refuse(UserError, "sample: fit() is still training the model", "`await fit(...)`");
  }
  if (x0 !== undefined) {
    const extra = (["count", "shape", "seed"] as const).find((name) => options[name] !== undefined);
    if (extra === undefined || extra === "seed" && flowSolverOf(options.solver).addsNoise) {
      return checkTensor("sample", "x0 is", x0);
    }
    refuse(TypeError, `sample: both x0 and ${extra} were given`, "noise, or a seed with count and shape");
  }
  if (!isCount(count, 1)) {
    const expected = "a whole number of at least 1, as in sample(model, { count: 16 })";
    refuse(RangeError, `sample: count is ${describeValue(count)}`, expected);
  }
  const shape = options.shape ?? traitsOf(model).shape;
  if (Array.isArray(shape)) return noise(seed, [count, ...shape]);
  const problem = shape === undefined
    ? "the model does not know the shape of a sample"
    : `shape is ${describeValue(shape)}`;
  refuse(TypeError, `sample: ${problem}`, "one as in sample(model, { count: 16, shape: [1, 28, 28] })");
}
