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
import { checkCount } from "../../kernels/core/checks.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { checkTensor } from "../../kernels/core/tensor.ts";
import { type VelocityField, velocityOf } from "../flow/field.ts";
import { innerAxes } from "../flow/rows.ts";
import { checkedSeed, streams } from "../random.ts";
import { checkBatch } from "./sampler.ts";

/**
 * Random signs for Hutchinson's estimator: -1 or 1 with probability 1/2. A seed gives the same signs on every device;
 * row n does not depend on N.
 *
 * @param count number of vectors per sample
 * @param shape [N, ...] of the samples
 * @returns f32[count, N, ...]
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
 * Hutchinson's estimate of the divergence, epsilon^T (dv/dx) epsilon, by one vector-Jacobian product; its mean over
 * random signs is the divergence.
 *
 * @param v f32[N, ...], computed from x, each row from its own row of x
 * @param x same shape
 * @param epsilon random signs, same shape
 * @returns f32[N]
 * @throws {Error} if v does not depend on x by ops with gradients, or the shapes differ
 * Source: Hutchinson 1990; Grathwohl et al. 2019, arXiv:1810.01367, equation 7
 */
export function estimatedDivergence(v: Tensor, x: Tensor, epsilon: Tensor): Tensor {
  checkTensor("take the divergence", "epsilon is", epsilon, x.shape);
  checkDepends(v, x);
  const [product] = gradients(sum(multiply(v, epsilon)), [x]);
  return sum(multiply(product, epsilon), innerAxes(x.shape));
}

/**
 * The exact divergence, the trace of dv/dx, f32[N], by one vector-Jacobian product per dimension.
 *
 * @throws as {@linkcode estimatedDivergence}
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

/** Without a graph to x, v would look constant. @throws {Error | ShapeError} as the divergences */
function checkDepends(v: Tensor, x: Tensor): void {
  checkTensor("take the divergence", "the velocity is", v, x.shape);
  if (sourcesOf(v).has(x)) return;
  throw new Error(
    "Cannot take the divergence: the velocity does not depend on x (expected no scope() or detach() between them); " +
      "add multiply(x, 0) to a constant one",
  );
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
   * @throws {TypeError} if the field is guided
   * @throws {RangeError} if samples are too large for the exact divergence
   * @throws {ShapeError} if the shapes do not match, or there is no sample
   */
  constructor(field: VelocityField, sample: Shape, epsilon?: Tensor) {
    if (field.guided) {
      throw new TypeError(
        "Cannot take the likelihood of a guided field: its density is not the learned one (expected no guidance)",
      );
    }
    checkBatch(sample);
    const [N] = sample;
    const D = sizeOf(sample) / N;
    const P = epsilon?.shape[0] ?? 1;
    if (epsilon) checkTensor("take the likelihood", "epsilon is", epsilon, [P, ...sample]);
    else if (D > maxExact) {
      throw new RangeError(
        `Cannot take the exact divergence of ${D} elements (expected at most ${maxExact}; use probes)`,
      );
    }
    this.#field = field;
    this.#sample = sample;
    this.#size = D;
    this.#epsilon = epsilon;
    this.stateShape = [N, D + P];
    this.products = epsilon ? P : D;
  }

  /** The state at x with l = 0. @throws {ShapeError} if x does not have the shape of the samples */
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
