import {
  add,
  assign,
  mean,
  multiply,
  reshape,
  scope,
  type Shape,
  square,
  sum,
  type Tensor,
  zeros,
} from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/check_tensor.ts";
import { checkCount } from "../../kernels/core/count.ts";
import type { VelocityField } from "../flow/field.ts";
import { DensityField } from "./density_field.ts";
import { inner } from "./divergence.ts";
import { Sampler, type SamplerOptions, tableauOf } from "./sampler.ts";
import { timesOf } from "./time_grids.ts";
import { evaluations } from "./tableau.ts";

/** How a likelihood is taken: the times are those of sampling, from 0 to 1; they are followed from 1 back to 0. */
export interface LikelihoodOptions extends SamplerOptions {
  /** Vectors of random signs for each sample, each with an estimate of its own; 1 by default. */
  readonly probes?: number;
  /** Whether the divergence is exact, at as many vector-Jacobian products as a sample has elements; at most 64. */
  readonly exact?: boolean;
}

/** The likelihood of a batch. */
export interface BatchLikelihood {
  /** log p of each sample in nats, the mean over its vectors of random signs, f32[N]. */
  readonly logp: Tensor;
  /** log p by each vector of random signs, f32[N, P]; f32[N, 1] if it is exact. */
  readonly perProbe: Tensor;
  /** The noise that the flow leads to each sample, same shape as the samples. */
  readonly z: Tensor;
}

/**
 * log p of data under a flow, by the instantaneous change of variables:
 *
 *     log p(x1) = log N(z; 0, I) - integral of div v(xt, t) from t = 0 to 1
 *
 * One step of the solver is recorded and replayed from data, t = 1, back to noise z, t = 0. The vectors of random signs
 * are held for the whole solve, so that each estimate is the solution of one ordinary differential equation.
 *
 * Source: Chen et al. 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367, section 3
 */
export class Likelihood {
  /** Evaluations of the field that a run takes. */
  readonly evaluations: number;
  /** Vector-Jacobian products that a run takes. */
  readonly products: number;
  readonly #field: DensityField;
  readonly #epsilon: Tensor | undefined;
  readonly #sampler: Sampler;

  /**
   * Records one step.
   *
   * @param shape [N, ...] of a batch
   * @throws {TypeError} if the field is guided, or both `exact` and `probes` are given
   * @throws {RangeError} if the times do not lead from 0 to 1, `probes` is not a positive integer, or the samples are
   * too large for their exact divergence
   * @throws as {@linkcode Sampler}
   */
  constructor(field: VelocityField, shape: Shape, options: LikelihoodOptions) {
    const { exact = false, probes, condition, solver } = options;
    if (exact && probes !== undefined) {
      throw new TypeError("Cannot take the likelihood: both exact and probes given (expected one of them)");
    }
    checkCount("take the likelihood", "probes", probes ?? 1);
    this.#epsilon = exact ? undefined : zeros([probes ?? 1, ...shape]);
    this.#field = new DensityField(field, shape, this.#epsilon);
    const times = backwards(timesOf(options));
    this.#sampler = new Sampler(this.#field, this.#field.shape, {
      times,
      ...solver && { solver },
      ...condition && { condition },
    });
    this.evaluations = evaluations(tableauOf(options), times.length - 1);
    this.products = this.evaluations * this.#field.products;
  }

  /**
   * The likelihood of a batch.
   *
   * @param x1 data, of the shape of a batch
   * @param epsilon random signs, f32[P, N, ...], as {@linkcode rademacher} draws them; none if it is exact
   * @throws {ShapeError} if x1 or the random signs do not have their shape
   * @throws {TypeError} if random signs are missing, or given for an exact likelihood
   */
  run(x1: Tensor, epsilon?: Tensor): BatchLikelihood {
    if (this.#epsilon) {
      checkTensor("take the likelihood", "epsilon is", epsilon, this.#epsilon.shape);
    } else if (epsilon) {
      throw new TypeError(`Cannot take an exact likelihood by random signs ${epsilon} (expected none)`);
    }
    return scope(() => {
      if (this.#epsilon && epsilon) assign(this.#epsilon, epsilon);
      const { x: z, l } = this.#field.parts(this.#sampler.run(this.#field.start(x1)));
      const perProbe = add(l, reshape(standardNormal(z), [z.shape[0], 1]));
      return { logp: mean(perProbe, [1]), perProbe, z };
    });
  }
}

/**
 * log N(z; 0, I) of each row, f32[N].
 *
 * @param z f32[N, ...]
 */
function standardNormal(z: Tensor): Tensor {
  const D = z.size / z.shape[0];
  return add(multiply(sum(square(z), inner(z.shape)), -1 / 2), -D / 2 * Math.log(2 * Math.PI));
}

/** The times of sampling, from data to noise. */
function backwards(times: readonly number[]): readonly number[] {
  const [first, last] = [times[0], times[times.length - 1]];
  if (first === 0 && last === 1) return times.toReversed();
  throw new RangeError(
    `Cannot take the likelihood at times from ${first} to ${last} (expected from 0 to 1, as for sampling)`,
  );
}
