import {
  add,
  assign,
  mean,
  multiply,
  reshape,
  scope,
  slice,
  square,
  sum,
  type Tensor,
  zeros,
} from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import { samplerFor } from "./adaptive_sampler.ts";
import { DensityField, inner, rademacher } from "./density_field.ts";
import type { SamplerOptions } from "./sampler.ts";
import { type BatchOptions, SampleBatches } from "./solve_flow.ts";
import { isAdaptive, solverOptions } from "./solvers.ts";
import { timesOf } from "./time_grids.ts";

/**
 * Options of {@linkcode logLikelihood}. The flow is solved from data, t = 1, back to noise; by default with `rtol:
 * 1e-3`.
 */
export interface LikelihoodOptions extends Omit<SamplerOptions, "noise">, BatchOptions {
  /** Compute the exact divergence, by one vector-Jacobian product per element; for up to 64 elements. */
  readonly exact?: boolean;
  /** Vectors of random signs per sample, each giving its own estimate; by default 1. */
  readonly probes?: number;
  /** Seed of the random signs, an integer in [0, 2^32); by default 0. */
  readonly seed?: number;
  /** The random signs themselves, f32[P, N, ...], instead of `probes` and `seed`. */
  readonly epsilon?: Tensor;
}

/** The log-likelihood of samples, and its cost. */
export interface LogLikelihood {
  /** log p of each sample in nats, averaged over its vectors of random signs, f32[N]. */
  readonly logp: Tensor;
  /** log p for each vector of random signs, f32[N, P]; f32[N, 1] if exact. */
  readonly perProbe: Tensor;
  /** The noise that the flow maps to each sample, same shape as the samples. */
  readonly z: Tensor;
  /** Evaluations of the field per sample, averaged over samples. */
  readonly evaluations: number;
  /** Vector-Jacobian products per sample. */
  readonly products: number;
}

/**
 * log p of data under a flow, in nats, by the instantaneous change of variables:
 *
 *     log p(x1) = log N(z; 0, I) - integral of div v(xt, t) from t = 0 to 1
 *
 * The flow is solved from data, t = 1, back to noise z, t = 0. Random signs are fixed for the whole solve, so each
 * estimate solves one ordinary differential equation. A sample's estimate depends on its row and the seed, not on the
 * batch.
 *
 * @param x1 data, f32[N, ...]
 * @throws {TypeError} if an option is unknown, options contradict each other, the field is guided or does not return a
 * tensor, or the solver adds noise
 * @throws {RangeError} if a count, a tolerance or the seed is outside its range, `times` do not lead from 0 to 1, or
 * the samples are too large for the exact divergence
 * @throws {ShapeError} if there are no samples, or condition, random signs or a velocity do not have their shape
 * @throws {SolverError} if adaptive steps get too short or too many
 *
 * ```ts
 * import { init, multiply, type Tensor, tensor } from "../../kernels/mod.ts";
 * import { logLikelihood } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const doubling = { velocity: (x: Tensor) => multiply(x, Math.LN2) }; // N(0, 1) becomes N(0, 4)
 * const { logp } = await logLikelihood(doubling, tensor([0], [1, 1]), { exact: true });
 * console.log(await logp.read()); // -0.9189 - 0.6931 = -1.6121
 * ```
 * Source: Chen et al. 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367, section 3
 */
export async function logLikelihood(
  field: VelocityField,
  x1: Tensor,
  options: LikelihoodOptions = {},
): Promise<LogLikelihood> {
  const { exact = false, probes, seed, epsilon: given, batch = 64, onProgress, condition, ...how } = options;
  rejectUnknown(options, known, "logLikelihood()");
  checkTensor("take the likelihood", "x1 is", x1);
  const extra = ([["exact", ["epsilon", "probes", "seed"]], ["epsilon", ["probes", "seed"]]] as const)
    .flatMap(([name, others]) => options[name] ? others.map((other) => [name, other] as const) : [])
    .find(([, other]) => options[other] !== undefined);
  if (extra) {
    throw new TypeError(
      `Cannot take the likelihood: both ${extra.join(" and ")} given (expected one of them)`,
    );
  }
  const batches = new SampleBatches(x1, batch, condition);
  const epsilon = exact ? undefined : given ?? rademacher(seed ?? 0, probes ?? 1, x1.shape);
  if (given) checkTensor("take the likelihood", "epsilon is", given, [given.shape[0], ...x1.shape]);
  const signs = epsilon && zeros([epsilon.shape[0], ...batches.shape]);
  const density = new DensityField(batches.field(field), batches.shape, signs);
  const sampler = samplerFor(density, density.stateShape, backwardOptions(how));
  const parts: Tensor[][] = [];
  let evaluations = 0;
  for (const { x0: data, first, fresh, count } of batches) {
    const start = scope(() => {
      if (signs && epsilon) assign(signs, slice(epsilon, 1, first, batches.length));
      return density.start(data);
    });
    const solved = await sampler.solve(start, {
      from: 1,
      to: 0,
      onProgress: (share) => onProgress?.(fresh + count * share),
    });
    evaluations += count * solved.evaluations;
    parts.push(scope(() => {
      const { x: z, l } = density.parts(solved.x);
      const perProbe = add(l, reshape(standardNormal(z), [z.shape[0], 1]));
      return [mean(perProbe, [1]), perProbe, z];
    }));
  }
  const [logp, perProbe, z] = batches.join(parts);
  const N = x1.shape[0];
  return { logp, perProbe, z, evaluations: evaluations / N, products: evaluations * density.products / N };
}

const known = [...solverOptions, "condition", "exact", "probes", "epsilon", "batch", "onProgress"];

/** Options to solve from data to noise. @throws {RangeError} if times do not lead from 0 to 1 */
function backwardOptions(how: SamplerOptions): SamplerOptions {
  if (isAdaptive(how)) return how;
  if (how.steps === undefined && how.grid === undefined && how.times === undefined) {
    return { ...how, rtol: 1e-3 };
  }
  const times = timesOf(how);
  if (times[0] === 0 && times[times.length - 1] === 1) return how;
  throw new RangeError(
    `Cannot take the likelihood at times from ${times[0]} to ${
      times.at(-1)
    } (expected from 0 to 1, as for sampling)`,
  );
}

/** log N(z; 0, I) of each row of f32[N, ...], f32[N]. */
function standardNormal(z: Tensor): Tensor {
  const D = z.size / z.shape[0];
  return add(multiply(sum(square(z), inner(z.shape)), -1 / 2), -D / 2 * Math.log(2 * Math.PI));
}
