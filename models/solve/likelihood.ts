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
import { checkTensor } from "../../kernels/core/tensor.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import type { VelocityField } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import {
  type BackwardOptions,
  type BackwardSolver,
  backwardSolver,
  type OnShare,
} from "./backward_solver.ts";
import { DensityField } from "./density_field.ts";
import { inner } from "./divergence.ts";
import { OneRun } from "./one_run.ts";
import { samplerOptions } from "./sampler.ts";

/** How a likelihood is taken. */
export interface LikelihoodOptions extends BackwardOptions {
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
  /** How often the field was evaluated, each time on the whole batch. */
  readonly evaluations: number;
  /** How many vector-Jacobian products that took. */
  readonly products: number;
}

/**
 * log p of data under a flow, by the instantaneous change of variables:
 *
 *     log p(x1) = log N(z; 0, I) - integral of div v(xt, t) from t = 0 to 1
 *
 * A step of the solver is recorded and replayed from data, t = 1, back to noise z, t = 0. The vectors of random signs
 * are held for the whole solve, so that each estimate is the solution of one ordinary differential equation.
 *
 * Source: Chen et al. 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367, section 3
 */
export class Likelihood {
  readonly #field: DensityField;
  readonly #epsilon: Tensor | undefined;
  readonly #solve: BackwardSolver;
  readonly #oneRun = new OneRun();

  /**
   * Records the steps.
   *
   * @param shape [N, ...] of a batch
   * @throws {TypeError} if an option is unknown, the field is guided, or gives no tensor, the solver is unknown, or both `exact` and `probes`
   * or more than one of `steps`, `times` and `tolerance` are given
   * @throws {RangeError} if `steps`, `times`, `tolerance` or `probes` is outside its range, or the samples are too
   * large for their exact divergence
   * @throws {ShapeError} if the batch is empty, or a velocity does not have its shape
   */
  constructor(field: VelocityField, shape: Shape, { exact = false, probes, ...how }: LikelihoodOptions = {}) {
    rejectUnknown(how, [...samplerOptions, "tolerance", "exact", "probes"], "a likelihood");
    if (exact && probes !== undefined) {
      throw new TypeError("Cannot take the likelihood: both exact and probes given (expected one of them)");
    }
    checkCount("take the likelihood", "probes", probes ?? 1);
    this.#epsilon = exact ? undefined : zeros([probes ?? 1, ...shape]);
    this.#field = new DensityField(field, shape, this.#epsilon);
    this.#solve = backwardSolver(this.#field, this.#field.shape, how);
  }

  /**
   * The likelihood of a batch. One run at a time: it works on the solver's own state.
   *
   * @param x1 data, of the shape of a batch
   * @param epsilon random signs, f32[P, N, ...], as {@linkcode rademacher} draws them; none if it is exact
   * @param onShare called after each trial step with the share of the solve that is done; a promise is waited
   * for, and an error ends the run
   * @throws {ShapeError} if x1 or the random signs do not have their shape
   * @throws {TypeError} if random signs are missing, or given for an exact likelihood
   * @throws {SolverError} if adaptive steps get too short, or too many
   * @throws {Error} if a run is in progress
   */
  run(x1: Tensor, epsilon?: Tensor, onShare?: OnShare): Promise<BatchLikelihood> {
    return this.#oneRun.take(() => this.#run(x1, epsilon, onShare));
  }

  async #run(x1: Tensor, epsilon: Tensor | undefined, onShare?: OnShare): Promise<BatchLikelihood> {
    if (this.#epsilon) {
      assign(this.#epsilon, checkTensor("take the likelihood", "epsilon is", epsilon, this.#epsilon.shape));
    } else if (epsilon) {
      throw new TypeError(`Cannot take an exact likelihood by random signs ${epsilon} (expected none)`);
    }
    const { x: end, evaluations } = await this.#solve(scope(() => this.#field.start(x1)), onShare);
    return scope(() => {
      const { x: z, l } = this.#field.parts(end);
      const perProbe = add(l, reshape(standardNormal(z), [z.shape[0], 1]));
      const products = evaluations * this.#field.products;
      return { logp: mean(perProbe, [1]), perProbe, z, evaluations, products };
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
