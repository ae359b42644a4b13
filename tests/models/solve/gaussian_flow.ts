import {
  add,
  divide,
  matmul,
  matmulTransposedB,
  multiply,
  reshape,
  square,
  subtract,
  type Tensor,
  tensor,
} from "../../../kernels/mod.ts";

/** A rotation in the planes (0, 1), (1, 2) and (2, 3) that keeps no axis fixed. */
function rotation(): number[][] {
  let Q: number[][] = [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((j) => i === j ? 1 : 0));
  [0.7, -1.1, 0.4].forEach((angle, k) => {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    Q = Q.map((row) =>
      row.map((value, j) =>
        j === k ? c * value - s * row[k + 1] : j === k + 1 ? s * row[k] + c * value : value
      )
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
  /** Number of calls. */
  calls = 0;

  /** Mean mu and deviations s along the columns of Q, four numbers each. */
  constructor(readonly mu = [0.5, -1, 2, 0.25], readonly s = [0.4, 1.5, 0.7, 2]) {}

  velocity(x: Tensor, t: Tensor): Tensor {
    this.calls++;
    const each = reshape(t, [t.size, 1]);
    const rest = subtract(1, each);
    const variances = tensor(this.s.map((s) => s * s), [1, 4]);
    const variance = add(multiply(square(each), variances), square(rest));
    const rate = divide(subtract(multiply(each, variances), rest), variance);
    const mu = tensor(this.mu, [1, 4]);
    const Q = tensor(this.Q.flat(), [4, 4]);
    const r = matmul(subtract(x, multiply(each, mu)), Q);
    return add(mu, matmulTransposedB(multiply(rate, r), Q));
  }

  /** log p of a point at t = 1, in f64. */
  logp(x: ArrayLike<number>): number {
    const r = this.s.map((_, k) => this.Q.reduce((sum, row, i) => sum + row[k] * (x[i] - this.mu[i]), 0));
    return this.s.reduce(
      (sum, s, k) => sum - (r[k] / s) ** 2 / 2 - Math.log(s) - Math.log(2 * Math.PI) / 2,
      0,
    );
  }
}

/** log p of each row of 4 numbers. */
export function logpOf(flow: GaussianFlow, values: Float32Array): number[] {
  return Array.from({ length: values.length / 4 }, (_, n) => flow.logp(values.subarray(4 * n, 4 * n + 4)));
}
