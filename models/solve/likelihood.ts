import {
  add,
  assign,
  concat,
  gradients,
  less,
  mean,
  multiply,
  randomUniform,
  reshape,
  scope,
  type Shape,
  slice,
  square,
  sum,
  type Tensor,
  tensor,
  where,
  zeros,
} from "../../kernels/mod.ts";
import { sourcesOf } from "../../kernels/autograd/gradients.ts";
import { checkCount, refuse } from "../../kernels/core/checks.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { Normalization } from "../files/normalization.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import { innerAxes } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import { checkedSeed, streams } from "../random.ts";
import { samplerFor } from "./adaptive_sampler.ts";
import { type BatchOptions, SampleBatches } from "./sample.ts";
import { checkBatch, type SamplerOptions } from "./sampler.ts";
import { flowSolverOf, isAdaptive, solverOptions } from "./solvers.ts";
import { timesOf } from "./time_grids.ts";

/**
 * Random signs for Hutchinson's estimator: -1 or 1 with probability 1/2. A seed gives the same signs on every device;
 * row n does not depend on N.
 *
 * @param count number of vectors per sample
 * @param shape [N, ...] of the samples
 * @returns f32[count, N, ...]
 */
export function rademacher(seed: number, count: number, shape: Shape): Tensor {
  checkCount("draw random signs", "count", count);
  const draw = (i: number) => {
    const uniform = randomUniform(tensor(Uint32Array.of(checkedSeed(seed), streams.probes, i)), shape);
    return reshape(where(less(uniform, 0.5), -1, 1), [1, ...shape]);
  };
  return concat(Array.from({ length: count }, (_, i) => draw(i)), 0);
}

/**
 * Hutchinson's estimate of the divergence, epsilon^T (dv/dx) epsilon, by one vector-Jacobian product; its mean over
 * random signs is the divergence.
 *
 * @param v f32[N, ...], computed from x, each row from its own row of x
 * @param x same shape
 * @param epsilon random signs, same shape
 * @returns f32[N]
 *
 * Source: Hutchinson 1990; Grathwohl et al. 2019, arXiv:1810.01367, equation 7
 */
export function estimatedDivergence(v: Tensor, x: Tensor, epsilon: Tensor): Tensor {
  checkTensor("take the divergence", "epsilon is", epsilon, x.shape);
  checkDepends(v, x);
  const [product] = gradients(sum(multiply(v, epsilon)), [x]);
  return sum(multiply(product, epsilon), innerAxes(x.shape));
}

/** The exact divergence, the trace of dv/dx, f32[N], by one vector-Jacobian product per dimension. */
export function exactDivergence(v: Tensor, x: Tensor): Tensor {
  checkDepends(v, x);
  const N = x.shape[0];
  const D = x.size / N;
  const rows = reshape(v, [N, D]);
  const parts = Array.from({ length: D }, (_, d) => {
    const [gradient] = gradients(sum(slice(rows, 1, d, 1)), [x]);
    return slice(reshape(gradient, [N, D]), 1, d, 1);
  });
  return reshape(parts.reduce((a, b) => add(a, b)), [N]);
}

/** Without a graph to x, v would look constant. */
function checkDepends(v: Tensor, x: Tensor): void {
  checkTensor("take the divergence", "the velocity is", v, x.shape);
  if (sourcesOf(v).has(x)) return;
  const why = "the velocity does not depend on x (expected no scope() or detach() between them)";
  refuse(Error, `take the divergence: ${why}; add multiply(x, 0) to a constant one`);
}

/** Most elements per sample for the exact divergence, which costs one vector-Jacobian product per element. */
const maxExact = 64;

/**
 * The flow of points and their log-density, as a field for any solver: dx/dt = v(x, t) and dl/dt = div v(x, t). Along
 * the flow, d log p / dt = -div v; so with l(1) = 0, log p at t = 1 is log p at t = 0 plus l(0). Each row of v must
 * depend on its own row of x only.
 *
 * Source: Chen et al. 2018, arXiv:1806.07366, equation 8; Grathwohl et al. 2019, arXiv:1810.01367, equation 4
 */
export class DensityField implements VelocityField {
  /** [N, D + P]: the D elements of a sample, then l for each of the P vectors of random signs. */
  readonly stateShape: Shape;
  /** Vector-Jacobian products per evaluation. */
  readonly products: number;
  readonly #field: VelocityField;
  readonly #sample: Shape;
  /** Elements per sample, D. */
  readonly #size: number;
  readonly #epsilon: Tensor | undefined;

  /**
   * Combines a field with its divergence.
   *
   * @param sample [N, ...] of x
   * @param epsilon random signs for Hutchinson's estimator, f32[P, N, ...]; by default, the divergence is exact. May be
   * overwritten between solves
   */
  constructor(field: VelocityField, sample: Shape, epsilon?: Tensor) {
    if (field.guided) {
      refuse(TypeError, "take the likelihood of a guided field: it is not the learned one", "no guidance");
    }
    checkBatch(sample);
    const [N] = sample;
    const D = sizeOf(sample) / N;
    const P = epsilon?.shape[0] ?? 1;
    if (epsilon) checkTensor("take the likelihood", "epsilon is", epsilon, [P, ...sample]);
    else if (D > maxExact) {
      refuse(RangeError, `take the exact divergence of ${D} elements`, `at most ${maxExact}; use probes`);
    }
    this.#field = field;
    this.#sample = sample;
    this.#size = D;
    this.#epsilon = epsilon;
    this.stateShape = [N, D + P];
    this.products = epsilon ? P : D;
  }

  /** The state at x with l = 0. */
  start(x: Tensor): Tensor {
    const [N, width] = this.stateShape;
    const rows = reshape(checkTensor("take the likelihood", "x1 is", x, this.#sample), [N, this.#size]);
    return concat([rows, zeros([N, width - this.#size])], 1);
  }

  /** The parts of a state: x, f32[N, ...], and l, f32[N, P]. */
  parts(state: Tensor): { readonly x: Tensor; readonly l: Tensor } {
    const D = this.#size;
    const l = slice(state, 1, D, this.stateShape[1] - D);
    return { x: reshape(slice(state, 1, 0, D), this.#sample), l };
  }

  /** Velocity and divergence at a state, f32[N, D + P]. */
  velocity(state: Tensor, t: Tensor, condition?: Tensor): Tensor {
    const { x } = this.parts(state);
    x.detach(); // starts the graph of v here, not at the start of the step
    const v = velocityOf(this.#field, x, t, condition);
    const epsilon = this.#epsilon;
    const signs = (i: number) => reshape(slice(epsilon!, 0, i, 1), this.#sample);
    const divergences = epsilon
      ? Array.from({ length: epsilon.shape[0] }, (_, i) => estimatedDivergence(v, x, signs(i)))
      : [exactDivergence(v, x)];
    const N = x.shape[0];
    return concat([reshape(v, [N, this.#size]), ...divergences.map((l) => reshape(l, [N, 1]))], 1);
  }
}

/**
 * Options of {@linkcode logLikelihood}; by default `rtol: 1e-3`, or 20 steps of a solver that cannot choose its own.
 */
export interface LikelihoodOptions extends Omit<SamplerOptions, "noise" | "last">, BatchOptions {
  /** Compute the exact divergence, by one vector-Jacobian product per element; for up to 64 elements. */
  readonly exact?: boolean;
  /** Vectors of random signs per sample, each giving its own estimate; by default 1. */
  readonly probes?: number;
  /** Seed of the random signs, an integer in [0, 2^32); by default 0. */
  readonly seed?: number;
  /** The random signs themselves, f32[P, N, ...], instead of `probes` and `seed`. */
  readonly epsilon?: Tensor;
}

/** Values of a byte. */
const levels = 256;

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
 * The flow is solved from data, t = 1, back to noise z, t = 0, with fixed random signs. A sample's estimate depends on
 * its row and the seed, not on the batch.
 *
 * @param x1 data, f32[N, ...]
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
  const own = ["condition", "exact", "probes", "epsilon", "batch", "onProgress"];
  const known = solverOptions.filter((name) => name !== "last"); // the last step leads to noise
  rejectUnknown(options, [...known, ...own], "logLikelihood()");
  checkTensor("take the likelihood", "x1 is", x1);
  const extra = ([["exact", ["epsilon", "probes", "seed"]], ["epsilon", ["probes", "seed"]]] as const)
    .flatMap(([name, others]) => options[name] ? others.map((other) => [name, other] as const) : [])
    .find(([, other]) => options[other] !== undefined);
  if (extra) {
    const both = extra.join(" and ");
    refuse(TypeError, `take the likelihood: both ${both} were given`, "only one");
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
  evaluations /= x1.shape[0];
  return { logp, perProbe, z, evaluations, products: evaluations * density.products };
}

/** Options to solve from data to noise. */
function backwardOptions(how: SamplerOptions): SamplerOptions {
  if (isAdaptive(how)) return how;
  const isOpen = how.steps === undefined && how.grid === undefined && how.times === undefined;
  if (isOpen && (how.solver === undefined || flowSolverOf(how.solver).tableau.error)) {
    return { ...how, rtol: 1e-3 };
  }
  const times = timesOf(how);
  if (times[0] === 0 && times[times.length - 1] === 1) return how;
  const shown = `${times[0]} to ${times.at(-1)}`;
  refuse(RangeError, `take the likelihood at times from ${shown}`, "from 0 to 1, as for sampling");
}

/** log N(z; 0, I) of each row of f32[N, ...], f32[N]. */
function standardNormal(z: Tensor): Tensor {
  const D = z.size / z.shape[0];
  return add(multiply(sum(square(z), innerAxes(z.shape)), -1 / 2), -D / 2 * Math.log(2 * Math.PI));
}

/** Options of {@linkcode bitsPerDimension}. The seed also determines the dequantisation. */
export interface BitsOptions extends LikelihoodOptions {
  /** Maps pixels in [0, 1] to the network's units. */
  readonly normalization: Normalization;
}

/** Bits per dimension of images. */
export interface BitsPerDimension extends Pick<LogLikelihood, "evaluations" | "products"> {
  /** Per image, averaged over its vectors of random signs. */
  readonly bits: readonly number[];
  /** The mean over images. */
  readonly mean: number;
  /** Standard error of the mean, from the spread over images; NaN for a single image. */
  readonly standardError: number;
  /** The mean over images, for each vector of random signs. */
  readonly probes: readonly number[];
  /** Standard error of the mean due to the random signs, from the spread of `probes`; NaN for a single vector. */
  readonly probeError: number;
}

/**
 * Dequantises 8-bit images, so that they have a density: spreads each level over its width,
 *
 *     pixel -> (255 pixel + u) / 256,   u ~ U[0, 1)
 *
 * @param x1 images in the network's units, scale pixel + shift, f32[N, ...]
 * @param seed integer in [0, 2^32); row n of u does not depend on N
 * @returns dequantised images in the network's units, same shape
 *
 * Source: Theis et al. 2016, arXiv:1511.01844, section 3.1
 */
export function dequantized(x1: Tensor, { scale, shift }: Normalization, seed: number): Tensor {
  const u = randomUniform(tensor(Uint32Array.of(checkedSeed(seed), streams.dequantization, 0)), x1.shape);
  const spread = add(multiply(u, scale / levels), shift / levels);
  return add(multiply(x1, (levels - 1) / levels), spread);
}

/**
 * Bits per dimension from log p, -log p / (D ln 2) + log2(256 / |scale|). The second term converts the density from the
 * network's units to levels: 7 for pixels in [-1, 1], 8 for [0, 1].
 *
 * @param logp log p in nats, of a dequantised image in the network's units
 * @param dimensions D, elements per image
 */
export function bitsOf(logp: number, dimensions: number, { scale }: Normalization): number {
  return -logp / (dimensions * Math.LN2) + Math.log2(levels / Math.abs(scale));
}

/**
 * Bits per dimension of 8-bit images under a flow: an upper bound on the code length per element. Without a model it
 * is 8.
 *
 * @param x1 images in the network's units, before dequantisation, f32[N, C, H, W]
 */
export async function bitsPerDimension(
  field: VelocityField,
  x1: Tensor,
  { normalization, ...options }: BitsOptions,
): Promise<BitsPerDimension> {
  const { seed = 0, ...withoutSeed } = options;
  const likelihood = await logLikelihood(
    field,
    dequantized(x1, normalization, seed),
    options.exact ? withoutSeed : { ...withoutSeed, seed },
  );
  const [N, P] = likelihood.perProbe.shape;
  const logp = await likelihood.perProbe.read();
  const bits = Array.from(logp, (value) => bitsOf(value, x1.size / N, normalization));
  const perImage = Array.from({ length: N }, (_, n) => meanOf(bits.slice(n * P, (n + 1) * P)));
  const probes = Array.from({ length: P }, (_, p) => meanOf(bits.filter((_, i) => i % P === p)));
  return {
    bits: perImage,
    mean: meanOf(perImage),
    standardError: standardErrorOf(perImage),
    probes,
    probeError: standardErrorOf(probes),
    evaluations: likelihood.evaluations,
    products: likelihood.products,
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard error of the mean; NaN for a single value. */
function standardErrorOf(values: readonly number[]): number {
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
