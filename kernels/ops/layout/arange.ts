import { defineOp } from "../../op.ts";
import { checkedSizeOf } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";

const ramp = defineOp({
  name: "arange",
  signature: " -> y[n]",
  attributes: { n: "u32" },
  wgsl: "fn kernel(i: u32) { y[i] = f32(i); }",
  reference({ y }) {
    for (let i = 0; i < y.length; i++) y[i] = i;
  },
  samples: [{ shapes: {}, attributes: { n: 7 } }, { shapes: {}, attributes: { n: 1 } }],
});

/**
 * The numbers 0, 1, ..., n - 1, f32[n], on the device in use; exact up to 2^24.
 *
 * @throws {ShapeError} if n is not a whole number of at least 0
 */
export function arange(n: number): Tensor {
  return ramp({ n: checkedSizeOf([n]) });
}
