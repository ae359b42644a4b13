import { scope, type Shape, type Tensor, tensor, UserError } from "../../kernels/mod.ts";
import { describeValue, isCount } from "../../kernels/core/checks.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { justBegun, traitsOf, type VelocityField } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import { noise } from "../random.ts";
import { Sampler, type SamplerOptions, type Snapshot } from "./sampler.ts";
import { SampleBatches, solveFlow } from "./solve_flow.ts";
import { flowSolverOf, solverOptions } from "./solvers.ts";
import { isAdaptive } from "./step_control.ts";

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
 * @throws {RangeError} if `steps`, `count` or `batch` is not a positive integer, or the seed is not in [0, 2^32)
 * @throws {ShapeError} if there are no samples, or the condition does not have one row per sample
 * @throws {TypeError} if an option is unknown, options contradict each other, or the shape of a sample is unknown
 * @throws {SolverError} as a rejected promise, if adaptive steps get too short or too many
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 1
 */
export function sample(
  model: VelocityField,
  options: SampleOptions & ({ readonly rtol: number } | { readonly atol: number }),
): Promise<Tensor>;
/** Samples in given steps. @throws as with a tolerance */
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
 * @throws as {@linkcode sample}; also for a tolerance: use `AdaptiveSampler` for snapshots with adaptive steps
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
    throw new UserError("Cannot sample: fit() is still training the model (expected `await fit(...)`)");
  }
  if (x0 !== undefined) {
    const extra = (["count", "shape", "seed"] as const).find((name) => options[name] !== undefined);
    if (extra === undefined || extra === "seed" && flowSolverOf(options.solver).addsNoise) {
      return checkTensor("sample", "x0 is", x0);
    }
    throw new TypeError(
      `Cannot sample: both x0 and ${extra} were given (expected noise, or a seed with count and shape)`,
    );
  }
  if (!isCount(count, 1)) {
    throw new RangeError(
      `Cannot sample: count is ${
        describeValue(count)
      } (expected a whole number of at least 1, as in sample(model, { count: 16 }))`,
    );
  }
  const shape = options.shape ?? traitsOf(model).shape;
  if (Array.isArray(shape)) return noise(seed, [count, ...shape]);
  const problem = shape === undefined
    ? "the model does not know the shape of a sample"
    : `shape is ${describeValue(shape)}`;
  throw new TypeError(
    `Cannot sample: ${problem} (expected one as in sample(model, { count: 16, shape: [1, 28, 28] }))`,
  );
}
