import { scope, slice, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/check_tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { rademacher } from "./divergence.ts";
import { type BatchLikelihood, Likelihood, type LikelihoodOptions } from "./likelihood.ts";
import { RowBatches } from "./row_batches.ts";
import { checkBatch } from "./sampler.ts";

/** How the likelihood of many samples is taken. */
export interface LogLikelihoodOptions extends LikelihoodOptions {
  /** Seed of the random signs, an integer in [0, 2^32); none if the divergence is exact. */
  readonly seed?: number;
  /** Largest batch; by default 64. */
  readonly batch?: number;
}

/** The likelihood of samples, and what it took. */
export interface LogLikelihood extends BatchLikelihood {
  /** Evaluations of the field for each sample. */
  readonly evaluations: number;
  /** Vector-Jacobian products for each sample. */
  readonly products: number;
}

/**
 * log p of data under a flow, in nats; see {@linkcode Likelihood}. That of a sample depends on its row and the seed, not
 * on the others or the batch.
 *
 * @param x1 data, f32[N, ...]
 * @throws {TypeError} if the seed is missing, or given for an exact divergence
 * @throws {RangeError} if `batch` is not a positive integer, or the seed is not one in [0, 2^32)
 * @throws {ShapeError} if there are no samples, or the condition does not have one row for each
 * @throws as {@linkcode Likelihood}
 *
 * ```ts
 * import { init, multiply, type Tensor, tensor } from "../../kernels/mod.ts";
 * import { logLikelihood } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const doubling = { velocity: (x: Tensor) => multiply(x, Math.LN2) }; // N(0, 1) becomes N(0, 4)
 * const { logp } = logLikelihood(doubling, tensor([0], [1, 1]), { exact: true, solver: "rk4", steps: 10 });
 * console.log(await logp.read()); // -0.9189 - 0.6931 = -1.6121
 * ```
 */
export function logLikelihood(
  field: VelocityField,
  x1: Tensor,
  { seed, batch = 64, condition, ...options }: LogLikelihoodOptions,
): LogLikelihood {
  checkTensor("take the likelihood", "x1 is", x1);
  checkBatch(x1.shape);
  if ((seed === undefined) !== (options.exact === true)) {
    throw new TypeError(
      seed === undefined
        ? "Cannot take the likelihood without a seed (expected a seed for its random signs, or exact)"
        : "Cannot take the likelihood: both exact and seed given (expected one of them)",
    );
  }
  const [N, ...shape] = x1.shape;
  return scope(() => {
    const batches = new RowBatches(field, N, batch, condition);
    const { length } = batches;
    const likelihood = new Likelihood(batches.field, [length, ...shape], options);
    const epsilon = seed === undefined ? undefined : rademacher(seed, options.probes ?? 1, x1.shape);
    const [logp, perProbe, z] = batches.join((from) => {
      const found = likelihood.run(
        slice(x1, 0, from, length),
        epsilon && slice(epsilon, 1, from, length),
      );
      return [found.logp, found.perProbe, found.z];
    });
    const { evaluations, products } = likelihood;
    return { logp, perProbe, z, evaluations, products };
  });
}
