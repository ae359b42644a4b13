import type { Tensor } from "../tensor.ts";
import { subtract } from "./elementwise.ts";
import { mean } from "./reduce.ts";
import { square } from "./unary.ts";

/**
 * Mean of (a - b)^2 over all elements.
 *
 * @returns f32[]
 * @throws {ShapeError} if the shapes do not broadcast
 */
export function meanSquaredError(a: Tensor, b: Tensor): Tensor {
  return mean(square(subtract(a, b)));
}
