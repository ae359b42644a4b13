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
import { refuse } from "../../kernels/core/checks.ts";
import { checkName } from "../names.ts";

/** Settings of an optimizer. Each kind uses only its own. */
export interface OptimizerOptions {
  /** Learning rate, unless `beforeStep` gets one. */
  readonly learningRate: number;
  /**
   * By default 0.01 for AdamW and Muon, else 0. AdamW and Muon decay the parameters directly; the others add it to the
   * gradient.
   */
  readonly weightDecay?: number;
  /** Decay of the first moment, by default 0.9. For Adam, AdamW, and Muon's AdamW part. */
  readonly beta1?: number;
  /** Decay of the second moment, by default 0.999. For Adam, AdamW, and Muon's AdamW part. */
  readonly beta2?: number;
  /** Added to the square root of the second moment, by default 1e-8. For Adam, AdamW, and Muon's AdamW part. */
  readonly epsilon?: number;
  /** Share of the previous update to keep, by default 0.9. For SGD. */
  readonly momentum?: number;
  /** Learning rate of orthogonal updates relative to AdamW's, by default 10. For Muon. */
  readonly muonFactor?: number;
  /** Largest global gradient norm; larger gradients are scaled down. By default 0, no clipping. */
  readonly clip?: number;
  /**
   * Factor applied to the loss, by default 1; gradients are divided by it. In f16, a power of two keeps small gradients
   * from underflowing.
   *
   * Source: Micikevicius et al. 2017, arXiv:1710.03740, section 3.2
   */
  readonly lossScale?: number;
}

/** Memory of a group of adjacent parameters, f32[n] each. */
export interface Run {
  /** The parameters. */
  readonly p: Tensor;
  /** Their gradients; a rule may overwrite them. */
  readonly g: Tensor;
  /** Their moments, in the rule's order. */
  readonly moments: readonly Tensor[];
}

/** How an optimizer updates parameters, or a subset. */
export interface UpdateRule {
  /** Selects parameters by shape, with a description for messages; by default all. */
  readonly takes?: { test(shape: Shape): boolean; readonly what: string };
  /** Names of its moments. */
  readonly moments: readonly string[];
  /** Its settings for a step, counted from 1; at most 8 numbers. */
  readonly settings: (
    options: Required<OptimizerOptions>,
    learningRate: number,
    step: number,
  ) => readonly number[];
  /** Preprocesses gradients and moments, for several parameters of one shape together. */
  readonly direction?: Direction;
  /**
   * Updates parameters and moments in place, using only device ops. `norm` is the gradient's squared norm, f32[1];
   * `settings` is f32[8].
   */
  readonly update: (norm: Tensor, settings: Tensor) => (run: Run) => void;
}

/** Turns gradients into update directions. */
export interface Direction {
  /** Parameters with equal keys are processed together. */
  readonly key: (shape: Shape) => string;
  /** Makes a function that works in place on `count` parameters, adjacent without gaps. */
  readonly bind: (
    group: Omit<Run, "p"> & { readonly shape: Shape; readonly count: number },
    options: Required<OptimizerOptions>,
  ) => (norm: Tensor, settings: Tensor) => void;
}

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
  settings: ({ momentum, weightDecay, clip }, rate) => [rate, momentum, 0, 0, weightDecay, 0, 0, clip],
  update: (norm, settings) => ({ p, g, moments: [m] }) => sgdUpdate(p, m, g, norm, settings),
};

/** Smallest number of input and output channels of a convolution that Muon updates: more than an image has. */
export const fewestChannels = 8;

/** Share of the averaged gradient to keep. */
const momentum = 0.95;

/** Coefficients and number of the Newton-Schulz iterations, X = (a I + b X X^T + c (X X^T)^2) X. */
const [a, b, c] = [3.4445, -4.775, 2.0315];
const iterations = 5;

/**
 * Whether Muon updates a parameter: a convolution weight of 3x3 or larger between at least 8 channels. AdamW updates
 * the rest.
 */
export function isMuonWeight(shape: Shape): boolean {
  const [K, C, R, S] = shape;
  return shape.length === 4 && Math.min(K, C) >= fewestChannels && Math.min(R, S) >= 3;
}

/** A convolution weight [K, C, R, S] as a matrix. */
function matrixOf([K, C, R, S]: Shape): readonly [rows: number, columns: number] {
  return [K, C * R * S];
}

/**
 * Makes matrices nearly orthogonal: U S V^T becomes roughly U V^T, with singular values between 0.7 and 1.2.
 *
 * @returns a function of f32[B, rows, columns] that uses only device ops, so that it can be recorded
 * Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon
 */
export function orthogonaliser(rows: number, columns: number): (x: Tensor) => Tensor {
  const wide = rows <= columns; // multiply along the shorter side: (X X^T) X, or X (X^T X)
  const n = Math.min(rows, columns);
  const diagonal = (value: number) =>
    tensor(Float32Array.from({ length: n * n }, (_, i) => i % (n + 1) === 0 ? value : 0), [n, n]);
  const [first, second] = [diagonal(a), diagonal(b)];
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
        emaUpdate(g, m, blend); // g now holds the direction; this memory stays f32 in an f16 step
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

/** The rules of each optimizer by name. The first one that takes a parameter updates it. */
export const updateRules: Readonly<Record<OptimizerKind, readonly UpdateRule[]>> = {
  adamw: [adamw],
  adam: [adamRule(adamL2Update)],
  sgd: [sgd],
  muon: [muon, adamw],
};

/** All names of optimizers. */
export const optimizerKinds: readonly OptimizerKind[] = Object.keys(updateRules) as OptimizerKind[];

/** Names of the parameters that each rule of an optimizer updates, those with equal direction keys side by side. */
export function parameterGroups(
  kind: OptimizerKind,
  parameters: ReadonlyMap<string, { readonly shape: Shape }>,
): string[][] {
  checkName("optimizer", kind, optimizerKinds);
  const rules = updateRules[kind];
  const groups = rules.map((): string[] => []);
  for (const [name, { shape }] of parameters) {
    groups[rules.findIndex(({ takes }) => takes === undefined || takes.test(shape))].push(name);
  }
  const idle = rules.find(({ takes }, i) => takes !== undefined && groups[i].length === 0);
  if (idle) {
    const { what } = idle.takes!;
    refuse(TypeError, `make the optimizer ${kind}: no parameter is ${what}`, "one, or another optimizer");
  }
  return groups.map((names, i) => {
    const { direction } = rules[i];
    if (!direction) return names;
    const keys = names.map((name) => direction.key(parameters.get(name)!.shape));
    return [...new Set(keys)].flatMap((key) => names.filter((_, n) => keys[n] === key));
  });
}
