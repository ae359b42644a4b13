import { full, type Shape, type Tensor, tensor, uniforms } from "../../kernels/mod.ts";
import { checkedSizeOf } from "../../kernels/core/shape.ts";
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
 * @throws {RangeError} if the seed is not an integer in [0, 2^32)
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

/**
 * Default of all layers: one random sequence per program. Layers get different weights, and the same program gets the
 * same weights each time.
 */
export const defaultInitialiser: Initialiser = randomInitialiser(46020);

/** Sets all parameters to zero: for networks that load their weights, and layers that start without effect. */
export const blankInitialiser: Initialiser = {
  uniform: (shape) => constant(shape, 0),
  normal: (shape) => constant(shape, 0),
  constant: (shape) => constant(shape, 0),
};

/** A standard normal number from two uniform ones in [0, 1). Source: Box and Muller 1958 */
function normal(u: number, v: number): number {
  return Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v);
}

function constant(shape: Shape, value: number): Tensor {
  const made = full(shape, value);
  made.detach(); // a parameter is a leaf
  return made;
}
