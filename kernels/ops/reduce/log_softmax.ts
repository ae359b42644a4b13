import { ShapeError, sizeOf } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { defineOp, type Op } from "../../op.ts";
import { multiply, negate, subtract } from "../elementwise/binary.ts";
import { exp } from "../elementwise/unary.ts";
import { reshape } from "../layout/movement.ts";
import { expSum, expSumWgsl } from "./exp_sum.ts";
import { sum } from "./reduce.ts";

const logSoftmaxRows = defineOp({
  name: "logSoftmax",
  signature: "x[R, C] -> y[R, C]",
  invocations: ({ R }) => R,
  wgsl: `${expSumWgsl("x")}
fn kernel(r: u32) {
  let base = r * dims.C;
  let top = topOf(base);
  let rest = log(sumOfExp(base, top));
  for (var c = 0u; c < dims.C; c++) { y[base + c] = x[base + c] - top - rest; }
}`,
  backward: ({ y, dy }) => ({ x: () => logSoftmaxGradient(y, dy) }),
  reference({ x, y }, { R, C }) {
    for (let r = 0; r < R; r++) {
      const { top, total } = expSum(x.subarray(r * C, (r + 1) * C));
      for (let i = r * C; i < (r + 1) * C; i++) y[i] = x[i] - top - Math.log(total);
    }
  },
  wasm: "logSoftmax",
  samples: [
    { shapes: { x: [3, 5] } },
    { shapes: { x: [1, 1] } },
    { shapes: { x: [2, 9] } },
    { shapes: { x: [1, 3] }, values: { x: [120, 119, 100] } },
  ],
});

/** dx = dy - exp(y) sum(dy), a row at a time. */
const logSoftmaxGradient: Op<"y[R, C], dy[R, C] -> dx[R, C]"> = defineOp({
  name: "logSoftmaxGradient",
  signature: "y[R, C], dy[R, C] -> dx[R, C]",
  invocations: ({ R }) => R,
  wgsl: `fn kernel(r: u32) {
  let base = r * dims.C;
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { total += dy[base + c]; }
  for (var c = 0u; c < dims.C; c++) { dx[base + c] = dy[base + c] - exp(y[base + c]) * total; }
}`,
  backward({ y, dy, ddx }) {
    const weighted = () => multiply(ddx, exp(y));
    return {
      y: () => negate(multiply(weighted(), sum(dy, [1], true))),
      dy: () => subtract(ddx, sum(weighted(), [1], true)),
    };
  },
  reference({ y, dy, dx }, { R, C }) {
    for (let r = 0; r < R; r++) {
      let total = 0;
      for (let i = r * C; i < (r + 1) * C; i++) total += dy[i];
      for (let i = r * C; i < (r + 1) * C; i++) dx[i] = dy[i] - Math.exp(y[i]) * total;
    }
  },
  wasm: "logSoftmaxGradient",
  samples: [{ shapes: { y: [3, 5], dy: [3, 5] } }, { shapes: { y: [1, 1], dy: [1, 1] } }],
});

/**
 * Logarithm of the softmax over the last axis, x - log(sum(exp(x))), without overflow; NaN in all of a row that holds
 * NaN.
 *
 * @throws {ShapeError} if x has no axis
 */
export function logSoftmax(x: Tensor): Tensor {
  if (x.shape.length === 0) {
    throw new ShapeError(`Cannot run logSoftmax: x ${x} has no axis (expected at least one)`);
  }
  const [C] = x.shape.slice(-1);
  return reshape(logSoftmaxRows(reshape(x, [sizeOf(x.shape.slice(0, -1)), C])), x.shape);
}
