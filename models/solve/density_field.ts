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
  zeros,
} from "../../kernels/mod.ts";
import { sourcesOf } from "../../kernels/autograd/gradients.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { checkCount } from "../../kernels/core/checks.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import { checkedSeed, streams } from "../random.ts";
import { checkBatch } from "./sampler.ts";

/** All axes except the batch axis. */
export function inner(shape: Shape): number[] {
  return shape.map((_, axis) => axis).slice(1);
}

/**
 * Vectors of random signs for Hutchinson's estimator. A seed gives the same signs on every device; row n does not
 * depend on N.
 *
 * @param count number of vectors per sample
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
 * random signs is the divergence. Its variance is twice the sum of squared off-diagonal elements of the symmetric part
 * of dv/dx.
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
 * The exact divergence, the trace of dv/dx, by one vector-Jacobian product per dimension.
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

/** Without a graph to x, v would look constant. @throws {Error} if v does not depend on x */
function checkDepends(v: Tensor, x: Tensor): void {
  checkTensor("take the divergence", "the velocity is", v, x.shape);
  if (sourcesOf(v).has(x)) return;
  throw new Error(
    "Cannot take the divergence: the velocity does not depend on x (expected one computed from x, outside of scope() " +
      "and without detach()); add multiply(x, 0) to a velocity that is constant",
  );
}

/** Most elements per sample for the exact divergence, which costs one vector-Jacobian product per element. */
export const mostExact = 64;

/**
 * The flow of points and their log-density, as a field for any solver:
 *
 *     dx/dt = v(x, t),   dl/dt = div v(x, t)
 *
 * Along the flow, d log p / dt = -div v. So with l(1) = 0, log p at t = 1 is log p at t = 0 plus l(0).
 *
 * Each row of v must depend on its own row of x only.
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
  readonly #epsilon: Tensor | undefined;

  /**
   * Combines a field with its divergence.
   *
   * @param sample [N, ...] of x
   * @param epsilon random signs for Hutchinson's estimator, f32[P, N, ...]; by default, the divergence is exact. May be
   * overwritten between solves
   * @throws {TypeError} if the field is guided
   * @throws {RangeError} if samples are too large for the exact divergence
   * @throws {ShapeError} if the shapes do not match, or there is no sample
   */
  constructor(field: VelocityField, sample: Shape, epsilon?: Tensor) {
    if (field.guided) {
      throw new TypeError(
        "Cannot take the likelihood of a guided field: guidance bends the flow away from the density that was " +
          "learned (expected the field without guidance)",
      );
    }
    checkBatch(sample);
    const [N, ...rest] = sample;
    const D = rest.reduce((product, length) => product * length, 1);
    const P = epsilon?.shape[0] ?? 1;
    if (epsilon) checkTensor("take the likelihood", "epsilon is", epsilon, [P, ...sample]);
    else if (D > mostExact) {
      throw new RangeError(
        `Cannot take the exact divergence of ${D} elements (expected at most ${mostExact}; use probes)`,
      );
    }
    this.#field = field;
    this.#sample = sample;
    this.#epsilon = epsilon;
    this.stateShape = [N, D + P];
    this.products = epsilon ? P : D;
  }

  /** The state at x with l = 0. @throws {ShapeError} if x does not have the shape of the samples */
  start(x: Tensor): Tensor {
    const [N, width] = this.stateShape;
    const rows = reshape(checkTensor("take the likelihood", "x1 is", x, this.#sample), [N, x.size / N]);
    return concat([rows, zeros([N, width - x.size / N])], 1);
  }

  /** The parts of a state: x, f32[N, ...], and l, f32[N, P]. */
  parts(state: Tensor): { readonly x: Tensor; readonly l: Tensor } {
    const [N, width] = this.stateShape;
    const D = this.#sample.reduce((product, length) => product * length, 1) / N;
    return { x: reshape(slice(state, 1, 0, D), this.#sample), l: slice(state, 1, D, width - D) };
  }

  /** Velocity and divergence at a state, f32[N, D + P]. */
  velocity(state: Tensor, t: Tensor, condition?: Tensor): Tensor {
    const { x } = this.parts(state);
    x.detach(); // starts the graph of v here, not at the start of the step
    const v = velocityOf(this.#field, x, t, condition);
    const [N, width] = this.stateShape;
    const divergences = this.#epsilon
      ? rowsOf(this.#epsilon).map((epsilon) => estimatedDivergence(v, x, epsilon))
      : [exactDivergence(v, x)];
    const columns = divergences.map((divergence) => reshape(divergence, [N, 1]));
    return concat([reshape(v, [N, width - columns.length]), ...columns], 1);
  }
}

/** Splits f32[P, ...] along its first axis. */
function rowsOf(x: Tensor): Tensor[] {
  return Array.from({ length: x.shape[0] }, (_, i) => reshape(slice(x, 0, i, 1), x.shape.slice(1)));
}
