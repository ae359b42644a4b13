import { scope, slice, type Tensor } from "../../kernels/mod.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import type { VelocityField } from "../flow/field.ts";
import { Batches } from "./batches.ts";
import { rademacher } from "./divergence.ts";
import { freshRows, joined } from "./joined.ts";
import { type BatchLikelihood, Likelihood, type LikelihoodOptions } from "./likelihood.ts";

/** How the likelihood of many samples is taken. */
export interface LogLikelihoodOptions extends LikelihoodOptions {
  /** Seed of the random signs, an integer in [0, 2^32); none if the divergence is exact. */
  readonly seed?: number;
  /** Largest batch; by default 64. */
  readonly batch?: number;
  /**
   * Called with the number of samples done: after each batch, and with a part of its samples after each try of an
   * adaptive step. A promise is waited for, and an error ends the solve.
   */
  readonly onProgress?: (done: number) => void | Promise<void>;
}

/**
 * log p of data under a flow, in nats; see {@linkcode Likelihood}. That of a sample depends on its row and the seed,
 * not on the others or the batch.
 *
 * @param x1 data, f32[N, ...]
 * @returns log p in nats, f32[N], with the noise of each sample; evaluations and products are those that a sample takes
 * part in: the mean over samples, where batches differ
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
  { seed, batch = 64, condition, onProgress, ...options }: LogLikelihoodOptions = {},
): Promise<BatchLikelihood> {
  checkTensor("take the likelihood", "x1 is", x1);
  if ((seed === undefined) !== (options.exact === true)) {
    throw new TypeError(
      seed === undefined
        ? "Cannot take the likelihood without a seed (expected a seed for its random signs, or exact)"
        : "Cannot take the likelihood: both exact and seed given (expected one of them)",
    );
  }
  const N = x1.shape[0];
  const batches = new Batches(x1, batch, condition);
  const likelihood = new Likelihood(batches.field(field), batches.shape, options);
  const epsilon = seed === undefined ? undefined : rademacher(seed, options.probes ?? 1, x1.shape);
  const parts: Tensor[][] = [];
  let [evaluations, products, done] = [0, 0, 0];
  for (const part of batches) {
    const signs = epsilon && slice(epsilon, 1, part.from, batches.length);
    const end = part.from + batches.length;
    const onShare = onProgress && ((share: number) => onProgress(done + share * (end - done)));
    const found = await likelihood.run(part.x0, signs, onShare);
    const fresh = [found.logp, found.perProbe, found.z].map((x) => freshRows(x, part));
    parts.push(fresh);
    const count = fresh[0].shape[0];
    evaluations += count * found.evaluations;
    products += count * found.products;
    done = end;
    await onProgress?.(done);
  }
  const [logp, perProbe, z] = scope(() => joined(parts));
  return { logp, perProbe, z, evaluations: evaluations / N, products: products / N };
}
