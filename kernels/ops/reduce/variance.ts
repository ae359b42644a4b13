import type { Tensor } from "../../core/tensor.ts";
import { refuseUnknown } from "../../core/checks.ts";
import { multiply, subtract } from "../elementwise/binary.ts";
import { square } from "../elementwise/unary.ts";
import { mean, sum } from "./reduce.ts";

/**
 * Variance over axes: the sum of the squared differences from the mean, divided by n - 1, or by n with `unbiased:
 * false`.
 *
 * @param axes all by default; negative ones count from the end
 * @param keepAxes whether reduced axes stay, with length 1
 * @param options `unbiased` is true by default, as in PyTorch
 * @returns the variances; NaN for no elements, and for a single one if unbiased
 */
export function variance(
  x: Tensor,
  axes?: readonly number[],
  keepAxes = false,
  { unbiased = true, ...unknown }: { unbiased?: boolean } = {},
): Tensor {
  refuseUnknown("run variance", unknown, ["unbiased"]);
  const centre = mean(x, axes, true);
  const total = sum(square(subtract(x, centre)), axes, keepAxes);
  return multiply(total, 1 / (x.size / centre.size - (unbiased ? 1 : 0)));
}
