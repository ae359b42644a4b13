import { concat, scope, slice, type Tensor } from "../../kernels/mod.ts";
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

/**
 * log p of data under a flow, in nats; see {@linkcode Likelihood}. That of a sample depends on its row and the seed, not
 * on the others or the batch.
 *
 * @param x1 data, f32[N, ...]
 * @returns what it took is of the batch that took most
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
 * const { logp } = await logLikelihood(doubling, tensor([0], [1, 1]), { exact: true });
 * console.log(await logp.read()); // -0.9189 - 0.6931 = -1.6121
 * ```
 */
export async function logLikelihood(
  field: VelocityField,
  x1: Tensor,
  { seed, batch = 64, condition, ...options }: LogLikelihoodOptions = {},
): Promise<BatchLikelihood> {
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
  const batches = new RowBatches(field, N, batch, condition);
  const { length } = batches;
  const likelihood = new Likelihood(batches.field, [length, ...shape], options);
  const epsilon = seed === undefined ? undefined : rademacher(seed, options.probes ?? 1, x1.shape);
  const found: BatchLikelihood[] = [];
  for (const { from, fresh } of batches) {
    const part = await likelihood.run(
      slice(x1, 0, from, length),
      epsilon && slice(epsilon, 1, from, length),
    );
    const rows = (x: Tensor) => slice(x, 0, fresh - from, from + length - fresh);
    found.push({ ...part, logp: rows(part.logp), perProbe: rows(part.perProbe), z: rows(part.z) });
  }
  return scope(() => ({
    logp: concat(found.map(({ logp }) => logp), 0),
    perProbe: concat(found.map(({ perProbe }) => perProbe), 0),
    z: concat(found.map(({ z }) => z), 0),
    evaluations: Math.max(...found.map(({ evaluations }) => evaluations)),
    products: Math.max(...found.map(({ products }) => products)),
  }));
}
