import {
  add,
  concat,
  gradients,
  less,
  multiply,
  randomUniform,
  reshape,
  type Shape,
  slice,
  sum,
  type Tensor,
  tensor,
  where,
} from "../../kernels/mod.ts";
import { sourcesOf } from "../../kernels/autograd/gradients.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { checkedSeed, streams } from "../random.ts";

/** Every axis but that of the batch. */
export function inner(shape: Shape): number[] {
  return shape.map((_, axis) => axis).slice(1);
}

/**
 * Vectors of random signs for Hutchinson's estimator. A seed gives the same ones on every device, and row n of a vector
 * does not depend on N.
 *
 * @param count number of vectors for each sample
 * @param shape [N, ...] of the samples
 * @returns -1 or 1 with probability 1/2, f32[count, N, ...]
 * @throws {RangeError} if the seed is not an integer in [0, 2^32), or the count not a positive one
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
 * Hutchinson's estimate of the divergence, epsilon^T (dv/dx) epsilon, by one vector-Jacobian product. Its mean over
 * vectors of random signs is the divergence; its variance, 2 times the sum of squares off the diagonal of the symmetric
 * part of dv/dx.
 *
 * @param v f32[N, ...], computed from x, each row from its own row of x
 * @param x same shape
 * @param epsilon random signs, same shape
 * @returns f32[N]
 * @throws {Error} if v does not depend on x, or an op between them has no gradient
 * @throws {ShapeError} if the shapes differ
 * Source: Hutchinson 1990; Grathwohl et al. 2019, arXiv:1810.01367, equation 7
 */
export function estimatedDivergence(v: Tensor, x: Tensor, epsilon: Tensor): Tensor {
  checkTensor("take the divergence", "epsilon is", epsilon, x.shape);
  checkDepends(v, x);
  const [product] = gradients(sum(multiply(v, epsilon)), [x]);
  return sum(multiply(product, epsilon), inner(x.shape));
}

/**
 * The divergence itself, the trace of dv/dx, by a vector-Jacobian product for each dimension.
 *
 * @param v f32[N, ...], computed from x, each row from its own row of x
 * @param x same shape
 * @returns f32[N]
 * @throws {Error} if v does not depend on x, or an op between them has no gradient
 * @throws {ShapeError} if the shapes differ
 */
export function exactDivergence(v: Tensor, x: Tensor): Tensor {
  checkDepends(v, x);
  const [N, D] = [x.shape[0], x.size / x.shape[0]];
  const rows = reshape(v, [N, D]);
  const parts = Array.from({ length: D }, (_, d) => {
    const [gradient] = gradients(sum(slice(rows, 1, d, 1)), [x]);
    return slice(reshape(gradient, [N, D]), 1, d, 1);
  });
  return reshape(parts.reduce((a, b) => add(a, b)), [N]);
}

/** A velocity whose gradients end before x cannot be told from a constant one. @throws {Error} if v does not depend on x */
function checkDepends(v: Tensor, x: Tensor): void {
  checkTensor("take the divergence", "the velocity is", v, x.shape);
  if (sourcesOf(v).has(x)) return;
  throw new Error(
    "Cannot take the divergence: the velocity does not depend on x (expected one computed from x, outside of scope() " +
      "and without detach()); add multiply(x, 0) to a velocity that is constant",
  );
}
