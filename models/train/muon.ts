import {
  add,
  assign,
  divide,
  emaUpdate,
  matmul,
  matmulTransposedA,
  matmulTransposedB,
  minimum,
  multiply,
  reshape,
  type Shape,
  slice,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import type { UpdateRule } from "./update_rule.ts";

/** Fewest channels on each side of a convolution that Muon updates: more than an image has. */
export const fewestChannels = 8;

/** Share of the averaged gradient that a step keeps. */
const momentum = 0.95;

/** Coefficients of the Newton-Schulz iteration, X = (a I + b X X^T + c (X X^T)^2) X, and how often it runs. */
const [a, b, c] = [3.4445, -4.775, 2.0315];
const iterations = 5;

/**
 * Whether Muon updates a parameter: the weight of a convolution of 3x3 or larger between at least 8 channels each. The
 * first and last convolutions, transposed ones, linear layers, norms and biases are left to AdamW.
 */
export function isMuonWeight(shape: Shape): boolean {
  const [K, C, R, S] = shape;
  return shape.length === 4 && Math.min(K, C) >= fewestChannels && Math.min(R, S) >= 3;
}

/** A convolution weight [K, C, R, S] as a matrix. */
function matrixOf([K, C, R, S]: Shape): readonly [rows: number, columns: number] {
  return [K, C * R * S];
}

/** I, f32[n, n]. It cannot be made inside a recorded step. */
function identity(n: number): Tensor {
  return tensor(Float32Array.from({ length: n * n }, (_, i) => i % (n + 1) === 0 ? 1 : 0), [n, n]);
}

/**
 * Makes matrices nearly orthogonal: U S V^T becomes about U V^T, with singular values between 0.7 and 1.2.
 *
 * @param rows of each matrix
 * @param columns of each matrix
 * @returns a function of f32[B, rows, columns], from device ops only, so that it can be recorded
 * Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon
 */
export function orthogonaliser(rows: number, columns: number): (x: Tensor) => Tensor {
  const wide = rows <= columns; // products of the shorter side: (X X^T) X, or X (X^T X)
  const one = identity(Math.min(rows, columns));
  const [first, second] = [multiply(one, a), multiply(one, b)];
  return (x) => {
    const norm = sqrt(sum(square(x), [1, 2], true));
    let y = divide(x, add(norm, 1e-7));
    for (let i = 0; i < iterations; i++) {
      const gram = wide ? matmulTransposedB(y, y) : matmulTransposedA(y, y);
      const polynomial = add(matmul(gram, add(multiply(gram, c), second)), first);
      y = wide ? matmul(polynomial, y) : matmul(y, polynomial);
    }
    return y;
  };
}

/**
 * Muon, for the weights of hidden convolutions as matrices [K, C R S]: m = 0.95 m + 0.05 g; the step against
 * 0.05 g + 0.95 m (Nesterov's momentum) is made orthogonal and scaled by sqrt(max(1, rows / columns)). Weight decay is
 * decoupled.
 *
 * Source: Jordan et al. 2024, github.com/KellerJordan/Muon
 */
export const muon: UpdateRule = {
  takes: {
    test: isMuonWeight,
    what: `the weight of a convolution of at least 3x3 between at least ${fewestChannels} channels`,
  },
  alike: (shape) => matrixOf(shape).join("x"),
  moments: ["m"],
  settings: ({ muonFactor, weightDecay }, learningRate) => {
    const rate = muonFactor * learningRate;
    return [rate, 1 - rate * weightDecay];
  },
  bind({ p, g, moments: [m], shape, count }, { clip }) {
    const [rows, columns] = matrixOf(shape);
    const [keep, blend] = [tensor([momentum]), tensor([1 - momentum])];
    const limit = clip > 0 ? tensor([clip]) : undefined;
    const orthogonalise = orthogonaliser(rows, columns);
    const scale = Math.sqrt(Math.max(1, rows / columns));
    return (norm, settings) => {
      if (limit) assign(g, multiply(g, minimum(divide(limit, add(sqrt(norm), 1e-6)), 1)));
      emaUpdate(m, g, keep);
      emaUpdate(g, m, blend); // g is now the direction, in memory that stays f32 in an f16 step
      const step = multiply(reshape(orthogonalise(reshape(g, [count, rows, columns])), p.shape), scale);
      const [rate, kept] = [slice(settings, 0, 0, 1), slice(settings, 0, 1, 1)];
      assign(p, subtract(multiply(p, kept), multiply(step, rate)));
    };
  },
};
