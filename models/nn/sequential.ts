import type { Tensor } from "../../kernels/mod.ts";
import { describeValue } from "../../kernels/core/checks.ts";
import { Module } from "./module.ts";

/** A step of a {@linkcode Sequential}: a layer, or a function such as `gelu`. */
export type SequentialLayer = ((x: Tensor) => Tensor) | Module & { forward(x: Tensor): Tensor };

/**
 * Layers that run one after another: `new Sequential(new Linear(2, 64), gelu, new Linear(64, 2))`.
 *
 * Named as in PyTorch, where activations count: the layers above are `0` and `2`.
 */
export class Sequential extends Module {
  /** The layers. */
  readonly [n: number]: SequentialLayer;
  readonly #count: number;

  /** From layers in order. @throws {TypeError} if a layer is neither a function nor a module with forward(x) */
  constructor(...layers: readonly SequentialLayer[]) {
    super();
    this.#count = layers.length;
    layers.forEach((layer, n) => {
      // A class would pass for a function.
      const isClass = typeof layer === "function" && layer.prototype instanceof Module;
      const fits = typeof layer === "function" ? !isClass : typeof layer?.forward === "function";
      if (fits) return;
      const shown = isClass ? "a class" : describeValue(layer);
      throw new TypeError(
        `Cannot make a Sequential: layer ${n} is ${shown} (expected a module with forward(x), or a function)`,
      );
    });
    Object.assign(this, layers);
  }

  /** Runs the layers in order. @throws {ShapeError} if a layer does not take what the one before it returns */
  forward(x: Tensor): Tensor {
    for (let n = 0; n < this.#count; n++) {
      const layer = this[n];
      x = typeof layer === "function" ? layer(x) : layer.forward(x);
    }
    return x;
  }
}
