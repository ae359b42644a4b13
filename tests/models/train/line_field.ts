/** A small field with data and weights, for tests of training. */

import { concat, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import { Linear, Module, randomInitialiser, stateOf } from "../../../models/mod.ts";

/** v(x, t) = W (x, t) + b in one dimension: can move noise to a point, but not split it. */
export class LineField extends Module {
  readonly map: Linear;

  constructor(seed: number) {
    super();
    this.map = new Linear(2, 1, randomInitialiser(seed));
  }

  velocity(x: Tensor, t: Tensor): Tensor {
    return this.map.forward(concat([x, reshape(t, [t.size, 1])], 1));
  }
}

/** 50 numbers near 3. */
export const data = () => tensor(Float32Array.from({ length: 50 }, (_, i) => 3 + (i - 24.5) / 100), [50, 1]);

/** All weights of a model. */
export const weightsOf = async (model: Module) =>
  [...(await stateOf(model)).values()].map(({ data }) => [...data]);
