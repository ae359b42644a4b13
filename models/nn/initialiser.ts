import { full, type Shape, type Tensor, tensor, uniforms } from "../../kernels/mod.ts";
import { checkedSizeOf, sizeOf } from "../../kernels/core/shape.ts";
import { checkName } from "../names.ts";
import { checkedSeed, streams } from "../random.ts";

/** Makes the parameters of layers. */
export interface Initialiser {
  /** Uniform in [-bound, bound). */
  uniform(shape: Shape, bound: number): Tensor;
  /** Normal with mean 0. */
  normal(shape: Shape, deviation: number): Tensor;
  /** All elements equal to `value`. */
  constant(shape: Shape, value: number): Tensor;
}

/**
 * Draws parameters. The n-th depends on the seed and n only, with the same bits on every device.
 *
 * @param seed integer in [0, 2^32)
 */
export function randomInitialiser(seed: number): Initialiser {
  let n = 0;
  checkedSeed(seed);
  return {
    uniform: (shape, bound) =>
      tensor(
        uniforms(seed, streams.weights, n++, checkedSizeOf(shape)).map((u) => (2 * u - 1) * bound),
        shape,
      ),
    normal(shape, deviation) {
      const size = checkedSizeOf(shape);
      const u = uniforms(seed, streams.weights, n++, 2 * size);
      return tensor(
        Float32Array.from({ length: size }, (_, i) => deviation * normal(u[2 * i], u[2 * i + 1])),
        shape,
      );
    },
    constant(shape, value) {
      n++;
      return constant(shape, value);
    },
  };
}

/** The source of {@linkcode defaultInitialiser}. */
let current = randomInitialiser(46020);

/**
 * Default of all layers: one random sequence per program. Layers get different weights, and the same program gets the
 * same weights each time. While `createModel` makes a network of your own, it is the network's.
 */
export const defaultInitialiser: Initialiser = {
  uniform: (shape, bound) => current.uniform(shape, bound),
  normal: (shape, deviation) => current.normal(shape, deviation),
  constant: (shape, value) => current.constant(shape, value),
};

/** Makes layers whose parameters come from an initialiser unless they get another one. */
export function withInitialiser<T>(initialiser: Initialiser, make: () => T): T {
  const before = current;
  current = initialiser;
  try {
    return make();
  } finally {
    current = before;
  }
}

/** Sets all parameters to zero: for networks that load their weights, and layers that start without effect. */
export const blankInitialiser: Initialiser = {
  uniform: (shape) => constant(shape, 0),
  normal: (shape) => constant(shape, 0),
  constant: (shape) => constant(shape, 0),
};

/** Name of a method of drawing weights. */
export type InitialiserName =
  | "pytorch"
  | "kaiming_uniform"
  | "kaiming_normal"
  | "xavier_uniform"
  | "xavier_normal"
  | "normal"
  | "zeros";

type DrawWeight = (from: Initialiser, shape: Shape) => Tensor;

/** How weights f32[O, I, ...] are drawn, by name; undefined leaves it to the layer. */
const weights: Readonly<Record<InitialiserName, DrawWeight | undefined>> = {
  pytorch: undefined,
  kaiming_uniform: (from, shape) => from.uniform(shape, Math.sqrt(6 / fansOf(shape).inputs)),
  kaiming_normal: (from, shape) => from.normal(shape, Math.sqrt(2 / fansOf(shape).inputs)),
  xavier_uniform: (from, shape) => from.uniform(shape, Math.sqrt(6 / fansOf(shape).both)),
  xavier_normal: (from, shape) => from.normal(shape, Math.sqrt(2 / fansOf(shape).both)),
  normal: (from, shape) => from.normal(shape, 0.02),
  zeros: (from, shape) => from.constant(shape, 0),
};

/** Names of all methods of drawing weights. */
const initialiserNames: readonly InitialiserName[] = Object.keys(weights) as InitialiserName[];

/** Fan-in of a weight f32[O, I, ...] as PyTorch counts it, and its sum with the fan-out. */
function fansOf([outputs, inputs, ...kernel]: Shape): { readonly inputs: number; readonly both: number } {
  const size = sizeOf(kernel);
  return { inputs: inputs * size, both: (inputs + outputs) * size };
}

/**
 * Draws the weights of layers by a method of PyTorch's `nn.init`, and sets their biases to 0. `pytorch` is the default
 * of each layer, the same as in PyTorch; `normal` has standard deviation 0.02. Norms begin as the identity, and
 * embeddings keep their own deviation.
 *
 * @param name such as `xavier_uniform`, or `kaiming_normal` for layers before a ReLU
 * @param seed integer in [0, 2^32) or an initialiser; by default the sequence that all layers share
 *
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createInitialiser, Linear } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const layer = new Linear(3, 2, createInitialiser("xavier_uniform"));
 * console.log(await layer.bias.read()); // [0, 0]
 * ```
 * Source: Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852
 */
export function createInitialiser(
  name: InitialiserName,
  seed: number | Initialiser = defaultInitialiser,
): Initialiser {
  checkName("initialiser", name, initialiserNames);
  const from = typeof seed === "object" ? seed : randomInitialiser(seed);
  const draw = weights[name];
  if (!draw) return from;
  return {
    uniform: (shape) => shape.length < 2 ? from.constant(shape, 0) : draw(from, shape),
    normal: (shape, deviation) => from.normal(shape, deviation),
    constant: (shape, value) => from.constant(shape, value),
  };
}

/** A standard normal number from two uniform ones in [0, 1). Source: Box and Muller 1958 */
function normal(u: number, v: number): number {
  return Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v);
}

function constant(shape: Shape, value: number): Tensor {
  const made = full(shape, value);
  made.detach(); // a parameter is a leaf
  return made;
}
