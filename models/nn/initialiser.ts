import { full, type Shape, type Tensor, tensor, uniforms } from "../../kernels/mod.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { checkedSeed, streams } from "../random/streams.ts";

/** Makes the parameters of layers. */
export interface Initialiser {
  /** Uniform in [-bound, bound). */
  uniform(shape: Shape, bound: number): Tensor;
  /** All elements of one value. */
  constant(shape: Shape, value: number): Tensor;
}

/**
 * Draws parameters: the n-th one from the seed and n alone, the same bits on every device.
 *
 * @param seed integer in [0, 2^32)
 * @throws {RangeError} if the seed is none
 */
export function randomInitialiser(seed: number): Initialiser {
  let n = 0;
  checkedSeed(seed);
  return {
    uniform: (shape, bound) =>
      tensor(uniforms(seed, streams.weights, n++, sizeOf(shape)).map((u) => (2 * u - 1) * bound), shape),
    constant(shape, value) {
      n++;
      return constant(shape, value);
    },
  };
}

/** Leaves all parameters at zero: for networks whose weights come from elsewhere. */
export const blankInitialiser: Initialiser = {
  uniform: (shape) => constant(shape, 0),
  constant: (shape) => constant(shape, 0),
};

function constant(shape: Shape, value: number): Tensor {
  const made = full(shape, value);
  made.detach(); // a parameter is where gradients end
  return made;
}
