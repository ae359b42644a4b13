/** A small field with data and weights, for tests of training. */

import { concat, reshape, type Tensor, tensor } from "../../../kernels/mod.ts";
import { LabelEmbedding, Linear, Module, randomInitialiser, stateOf } from "../../../models/mod.ts";

/** v(x, t) = W (x, t) + b in one dimension: can move noise to a point, but not split it. */
export class LineField extends Module {
  readonly map = new Linear(2, 1, randomInitialiser(1));

  velocity(x: Tensor, t: Tensor): Tensor {
    return this.map.forward(concat([x, reshape(t, [t.size, 1])], 1));
  }
}

/** A field with labels. */
export class Labelled extends LineField {
  readonly classes = 3;
  readonly label = new LabelEmbedding({ classes: 3, tEmb: 1 }, randomInitialiser(2));

  override velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor {
    return this.label.forward(super.velocity(x, t), condition);
  }
}

/** 50 numbers near 3. */
export const data = () => tensor(Float32Array.from({ length: 50 }, (_, i) => 3 + (i - 24.5) / 100), [50, 1]);

/** All weights of a model. */
export const weightsOf = async (model: Module) =>
  [...(await stateOf(model)).values()].map(({ data }) => [...data]);

export const mean = (values: Float32Array | number[]) =>
  [...values].reduce((sum, value) => sum + value, 0) / values.length;
