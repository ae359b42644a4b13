import { full, type Shape, type Tensor, tensor, uniforms } from "../../kernels/mod.ts";
import { checkedSizeOf } from "../../kernels/core/shape.ts";
import { checkedSeed, streams } from "../random/streams.ts";

/** Makes the parameters of layers. */
export interface Initialiser {
  /** Uniform in [-bound, bound). */
  uniform(shape: Shape, bound: number): Tensor;
  /** All elements have one value. */
  constant(shape: Shape, value: number): Tensor;
}

/**
 * Draws parameters: the n-th is a function of the seed and n, with the same bits on every device.
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
    constant(shape, value) {
      n++;
      return constant(shape, value);
    },
  };
}

/** Sets all parameters to zero, for networks whose weights are loaded. */
export const blankInitialiser: Initialiser = {
  uniform: (shape) => constant(shape, 0),
  constant: (shape) => constant(shape, 0),
};

function constant(shape: Shape, value: number): Tensor {
  const made = full(shape, value);
  made.detach(); // a parameter is a leaf
  return made;
}
