import {
  type Adam,
  adamL2Update,
  adamUpdate,
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
  sgdUpdate,
  type Shape,
  slice,
  sqrt,
  square,
  subtract,
  sum,
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import { unknownName } from "../names.ts";

/** Settings of an optimizer. Each kind uses only its own. */
export interface OptimizerOptions {
  /** The rate of a step whose `beforeStep` gets none. */
  readonly learningRate: number;
  /**
   * By default 0.01 for AdamW and Muon, else 0. These two decay the parameters directly; the others add it to the
   * gradient.
   */
  readonly weightDecay?: number;
  /** Decay of the first moment, by default 0.9. Adam, AdamW, and AdamW's part of Muon. */
  readonly beta1?: number;
  /** Decay of the second moment, by default 0.999. Adam, AdamW, and AdamW's part of Muon. */
  readonly beta2?: number;
  /** Added to the square root of the second moment, by default 1e-8. Adam, AdamW, and AdamW's part of Muon. */
  readonly epsilon?: number;
  /** Share of the previous update that a step keeps, by default 0.9. SGD. */
  readonly momentum?: number;
  /** Rate of the orthogonal updates as a multiple of AdamW's, by default 10. Muon. */
  readonly muonFactor?: number;
  /** Gradients are scaled down to this global norm; by default 0, no clipping. */
  readonly clip?: number;
  /**
   * What the loss was multiplied by, by default 1; gradients are divided by it. In f16 a power of two keeps small
   * gradients, such as those of a mean of many terms, from underflowing.
   *
   * Source: Micikevicius et al. 2017, arXiv:1710.03740, section 3.2
   */
  readonly lossScale?: number;
}

/** Memory of parameters that lie side by side, f32[n] each. */
export interface Run {
  /** The parameters. */
  readonly p: Tensor;
  /** Their gradients; a rule may overwrite them. */
  readonly g: Tensor;
  /** Their moments, in the rule's order. */
  readonly moments: readonly Tensor[];
}

/** How an optimizer updates parameters, or some of them. */
export interface UpdateRule {
  /** Which parameters it is for, as a test and in words; all by default. */
  readonly takes?: { test(shape: Shape): boolean; readonly what: string };
  /** Names of the numbers that it keeps per parameter. */
  readonly moments: readonly string[];
  /** Its numbers of a step, at most 8. Steps count from 1. */
  readonly settings: (
    options: Required<OptimizerOptions>,
    learningRate: number,
    step: number,
  ) => readonly number[];
  /** What it does first with gradients and moments, of several parameters of one shape at once. */
  readonly direction?: Direction;
  /**
   * Updates parameters and moments in place, from device ops only. `norm` is the gradient's squared norm, f32[1],
   * `settings` its numbers, f32[8].
   */
  readonly update: (norm: Tensor, settings: Tensor) => (run: Run) => void;
}

/** How a rule turns gradients into the directions of a step. */
export interface Direction {
  /** Parameters of one key are treated together. */
  readonly key: (shape: Shape) => string;
  /** Prepares a function that does so in place: of `count` parameters, side by side without gaps. */
  readonly bind: (
    group: Omit<Run, "p"> & { readonly shape: Shape; readonly count: number },
    options: Required<OptimizerOptions>,
  ) => (norm: Tensor, settings: Tensor) => void;
}

/** Adam or AdamW, by its kernel. */
function adamRule(update: Adam): UpdateRule {
  return {
    moments: ["m", "v"],
    settings: ({ beta1, beta2, epsilon, weightDecay, clip }, learningRate, step) => {
      // Bias correction must use the device's rounded betas, or the first steps are off.
      const left = (beta: number) => 1 - Math.fround(beta) ** step;
      return [learningRate, beta1, beta2, epsilon, weightDecay, left(beta1), left(beta2), clip];
    },
    update: (norm, settings) => ({ p, g, moments: [m, v] }) => update(p, m, v, g, norm, settings),
  };
}

const adamw = adamRule(adamUpdate);

const sgd: UpdateRule = {
  moments: ["m"],
  settings: (
    { momentum, weightDecay, clip },
    learningRate,
    step,
  ) => [learningRate, momentum, 0, 0, weightDecay, step === 1 ? 1 : 0, 0, clip],
  update: (norm, settings) => ({ p, g, moments: [m] }) => sgdUpdate(p, m, g, norm, settings),
};

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
  moments: ["m"],
  settings: ({ muonFactor, weightDecay }, learningRate) => {
    const rate = muonFactor * learningRate;
    return [rate, 1 - rate * weightDecay];
  },
  direction: {
    key: (shape) => matrixOf(shape).join("x"),
    bind({ g, moments: [m], shape, count }, { clip }) {
      const [rows, columns] = matrixOf(shape);
      const [keep, blend] = [tensor([momentum]), tensor([1 - momentum])];
      const limit = clip > 0 ? tensor([clip]) : undefined;
      const orthogonalise = orthogonaliser(rows, columns);
      const scale = Math.sqrt(Math.max(1, rows / columns));
      return (norm, settings) => {
        if (limit) assign(g, multiply(g, minimum(divide(limit, add(sqrt(norm), 1e-6)), 1)));
        emaUpdate(m, g, keep);
        emaUpdate(g, m, blend); // g is now the direction, in memory that stays f32 in an f16 step
        const step = multiply(reshape(orthogonalise(reshape(g, [count, rows, columns])), g.shape), scale);
        assign(g, multiply(step, slice(settings, 0, 0, 1)));
      };
    },
  },
  update(_, settings) {
    const kept = slice(settings, 0, 1, 1);
    return ({ p, g }) => assign(p, subtract(multiply(p, kept), g));
  },
};

/** Name of an optimizer. */
export type OptimizerKind = "adamw" | "adam" | "sgd" | "muon";

/** The rules of each optimizer by name: a parameter follows the first one that takes it. */
export const updateRules: Readonly<Record<OptimizerKind, readonly UpdateRule[]>> = {
  adamw: [adamw],
  adam: [adamRule(adamL2Update)],
  sgd: [sgd],
  muon: [muon, adamw],
};

/** All names of optimizers. */
export const optimizerKinds: readonly OptimizerKind[] = Object.keys(updateRules) as OptimizerKind[];

/**
 * The names of the parameters that each rule of an optimizer updates, in the order in which their gradients lie in
 * memory: those that have one direction side by side.
 *
 * @throws {TypeError} if the optimizer is unknown, or a rule for some parameters has none
 */
export function parameterGroups(
  kind: OptimizerKind,
  parameters: ReadonlyMap<string, { readonly shape: Shape }>,
): string[][] {
  if (!Object.hasOwn(updateRules, kind)) throw new TypeError(unknownName("optimizer", kind, optimizerKinds));
  const rules = updateRules[kind];
  const groups = rules.map((): string[] => []);
  for (const [name, { shape }] of parameters) {
    groups[rules.findIndex(({ takes }) => takes === undefined || takes.test(shape))].push(name);
  }
  const idle = rules.find(({ takes }, i) => takes !== undefined && groups[i].length === 0);
  if (idle) {
    throw new TypeError(
      `Cannot make the optimizer ${kind}: no parameter is ${
        idle.takes!.what
      } (expected one, or another optimizer)`,
    );
  }
  return groups.map((names, i) => {
    const { direction } = rules[i];
    if (!direction) return names;
    return Map.groupBy(names, (name) => direction.key(parameters.get(name)!.shape)).values().toArray().flat();
  });
}
