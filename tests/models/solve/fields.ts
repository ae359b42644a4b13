/** Fields with known solutions, and what tests of solvers share. */

import * as k from "../../../kernels/mod.ts";
import { createModel, type SolverName, solvers } from "../../../models/mod.ts";

type Tensor = k.Tensor;
const { add, concat, multiply, reshape, slice, subtract, tensor } = k;

export const names = Object.keys(solvers) as SolverName[];
export const tiny = () => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 46020);
export const column = (values: readonly number[]) => tensor(values, [values.length, 1]);
/** Values f32[N] next to rows f32[N, P]. */
export const each = (t: Tensor) => reshape(t, [t.size, 1]);

/** A field and its solution from x(0). */
export interface Problem {
  readonly velocity: (x: Tensor, t: Tensor) => Tensor;
  readonly at: (t: number, x0: number) => number;
}

/** dx/dt = 2 (t - x). */
export const linear: Problem = {
  velocity: (x, t) => multiply(subtract(each(t), x), 2),
  at: (t, x0) => (x0 + 0.5) * Math.exp(-2 * t) + t - 0.5,
};
/** dx/dt = -x^2: faster for large x. */
export const slowing: Problem = {
  velocity: (x) => multiply(multiply(x, x), -1),
  at: (t, x0) => x0 / (1 + t * x0),
};
/** dx/dt = c, the condition of the row. */
export const pushed = {
  velocity: (x: Tensor, _: Tensor, c?: Tensor) => add(multiply(x, 0), reshape(c!, [x.shape[0], 1])),
};
/** Turns points of the plane around the origin by `omega` radians. */
export const rotating = (omega: number) => ({
  velocity: (x: Tensor) => multiply(concat([multiply(slice(x, 1, 1, 1), -1), slice(x, 1, 0, 1)], 1), omega),
});

/** A rotation in the planes (0, 1), (1, 2) and (2, 3) that keeps no axis fixed. */
function rotation(): number[][] {
  let Q: number[][] = [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((j) => i === j ? 1 : 0));
  [0.7, -1.1, 0.4].forEach((angle, at) => {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    Q = Q.map((row) =>
      row.with(at, c * row[at] - s * row[at + 1]).with(at + 1, s * row[at] + c * row[at + 1])
    );
  });
  return Q;
}

/**
 * The flow of the linear path between N(0, I) and N(mu, Q diag(s^2) Q^T), in closed form. With r = Q^T (x - t mu),
 *
 *     v(x, t) = mu + Q diag((t s^2 - (1 - t)) / (t^2 s^2 + (1 - t)^2)) r
 */
export class GaussianFlow {
  readonly Q = rotation();

  /** Mean mu and deviations s along the columns of Q, four numbers each. */
  constructor(readonly mu = [0.5, -1, 2, 0.25], readonly s = [0.4, 1.5, 0.7, 2]) {}

  velocity(x: Tensor, time: Tensor): Tensor {
    const t = each(time), rest = subtract(1, t);
    const variances = tensor(this.s.map((s) => s * s), [1, 4]);
    const variance = add(multiply(k.square(t), variances), k.square(rest));
    const rate = k.divide(subtract(multiply(t, variances), rest), variance);
    const mu = tensor(this.mu, [1, 4]), Q = tensor(this.Q.flat(), [4, 4]);
    const r = k.matmul(subtract(x, multiply(t, mu)), Q);
    return add(mu, k.matmulTransposedB(multiply(rate, r), Q));
  }

  /** log p of each row of 4 numbers at t = 1, in f64. */
  logp(values: Float32Array): number[] {
    return Array.from({ length: values.length / 4 }, (_, n) => {
      const off = this.mu.map((mu, i) => values[4 * n + i] - mu);
      const r = this.s.map((_, j) => this.Q.reduce((sum, row, i) => sum + row[j] * off[i], 0));
      return this.s.reduce(
        (sum, s, j) => sum - (r[j] / s) ** 2 / 2 - Math.log(s),
        -2 * Math.log(2 * Math.PI),
      );
    });
  }
}
