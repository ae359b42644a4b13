import { concat, randomNormal, scope, type Shape, slice, type Tensor, tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { isCount } from "../../kernels/core/checks.ts";
import type { VelocityField } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import { checkedSeed, streams } from "../random.ts";
import { SampleBatches } from "./sample_batches.ts";
import { Sampler, type SamplerOptions, samplerOptions, type Snapshot } from "./sampler.ts";

/** Where sampling starts: given noise, or noise from a seed. */
export type Start =
  | { /** Noise, f32[N, C, H, W]. */ readonly x0: Tensor }
  | {
    /** Number of samples. */
    readonly count: number;
    /** [C, H, W] of a sample. */
    readonly shape: Shape;
    /** Integer in [0, 2^32). */
    readonly seed: number;
  };

/**
 * Noise to sample from. A seed gives the same noise on every device, and row n does not depend on N.
 *
 * @param seed integer in [0, 2^32)
 * @param shape [N, C, H, W]
 * @throws {RangeError} if the seed is not an integer in [0, 2^32)
 */
export function noise(seed: number, shape: Shape): Tensor {
  return randomNormal(tensor(Uint32Array.of(checkedSeed(seed), streams.samples, 0)), shape);
}

/**
 * Samples from a model by solving dx/dt = v(x, t) from noise at t = 0 to data at t = 1, in steps that are given.
 * `solveFlow` takes every solver, also those that choose their own steps or add noise, and tells what the samples cost.
 *
 * @param batch largest batch; by default 256
 * @returns f32[N, C, H, W]
 * @throws {RangeError} if `steps`, `count` or `batch` is not a positive integer, or the seed not one in [0, 2^32)
 * @throws {ShapeError} if there are no samples, the condition does not have one row per sample, or a velocity does not
 * have the shape of its batch
 * @throws {TypeError} if an option or the solver is unknown, not exactly one of `steps` and `times` is given, `x0` is given with
 * what a seed needs, or the field gives no tensor
 *
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createModel, sample } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * const x1 = sample(model, { count: 3, shape: [1, 4, 4], seed: 1, steps: 2, solver: "heun" });
 * console.log(x1.shape); // [3, 1, 4, 4]
 * ```
 * Source: Lipman et al. 2023, arXiv:2210.02747, equation 1
 */
export function sample(
  model: VelocityField,
  { batch = 256, ...options }: Start & SamplerOptions & { readonly batch?: number },
): Tensor {
  checkCount(batch, "in batches of");
  return scope(() => {
    const x0 = startOf(options);
    const batches = new SampleBatches(model, x0, { ...wayOf(options), batch });
    const { sampler, length } = batches;
    const parts = Array.from(
      batches,
      ({ from, fresh, x0 }) => slice(sampler.run(x0), 0, fresh - from, from + length - fresh),
    );
    return concat(parts, 0);
  });
}

/**
 * Samples from a model with a snapshot at each time of the solver.
 *
 * @example
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createModel, trajectory } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
 * for await (const { t, image } of trajectory(model, { count: 3, shape: [1, 4, 4], seed: 1, steps: 2 })) {
 *   console.log(t, image.length); // 0 48, then 0.5 48 and 1 48
 * }
 * ```
 *
 * @param options noise, or a seed with count and shape; the solver and its times; a condition, one row per sample
 * @returns snapshots in host memory, in order; the last one is the data, without velocity
 * @throws {RangeError} if `steps` or `count` is not a positive integer, or the seed not one in [0, 2^32)
 * @throws {ShapeError} if there are no samples, or a velocity does not have their shape
 * @throws {TypeError} if an option or the solver is unknown, not exactly one of `steps` and `times` is given, `x0` is given with
 * what a seed needs, or the field gives no tensor
 */
export function trajectory(
  model: VelocityField,
  options: Start & SamplerOptions,
): AsyncGenerator<Snapshot, void, void> {
  const x0 = startOf(options);
  return new Sampler(model, x0.shape, wayOf(options)).trajectory(x0);
}

/** The options of the sampler alone. @throws {TypeError} if one is unknown */
function wayOf(options: Start & SamplerOptions): SamplerOptions {
  rejectUnknown(options, ["x0", ...ofSeed, ...samplerOptions], "sampling");
  return Object.fromEntries(Object.entries(options).filter(([name]) => samplerOptions.includes(name)));
}

/** What noise from a seed needs. */
const ofSeed = ["count", "shape", "seed"] as const;

function startOf(start: Start): Tensor {
  const given: { readonly x0?: Tensor } & { readonly [name in typeof ofSeed[number]]?: unknown } = start;
  if (given.x0 === undefined) {
    const { count, shape, seed } = start as Exclude<Start, { readonly x0: Tensor }>;
    checkCount(count, "as many as");
    return noise(seed, [count, ...shape]);
  }
  const extra = ofSeed.find((name) => given[name] !== undefined);
  if (extra === undefined) return checkTensor("sample", "x0 is", given.x0);
  throw new TypeError(
    `Cannot sample: both x0 and ${extra} given (expected noise, or a seed with count and shape)`,
  );
}

function checkCount(count: number, what: string): void {
  if (isCount(count, 1)) return;
  throw new RangeError(`Cannot sample ${what} ${count} (expected a positive integer)`);
}
