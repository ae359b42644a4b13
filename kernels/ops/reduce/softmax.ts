import { defineOp, type Op } from "../../op.ts";
import type { Tensor } from "../../core/tensor.ts";
import { multiply, subtract } from "../elementwise/binary.ts";
import { reshape } from "../layout/movement.ts";
import { ShapeError, sizeOf } from "../../core/shape.ts";
import { sum } from "./reduce.ts";

const softmaxRows = defineOp({
  name: "softmax",
  signature: "x[R, C] -> y[R, C]",
  invocations: ({ R }) => R,
  wgsl: `fn kernel(r: u32) {
  let base = r * dims.C;
  var top = x[base];
  for (var c = 1u; c < dims.C; c++) { top = max(top, x[base + c]); }
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { let e = exp(x[base + c] - top); y[base + c] = e; total += e; }
  for (var c = 0u; c < dims.C; c++) { y[base + c] /= total; }
}`,
  backward: ({ y, dy }) => ({ x: () => softmaxGradient(y, dy) }),
  reference({ x, y }, { R, C }) {
    for (let r = 0; r < R; r++) {
      let top = -Infinity;
      for (let c = 0; c < C; c++) top = Math.max(top, x[r * C + c]);
      let total = 0;
      for (let c = 0; c < C; c++) total += Math.exp(x[r * C + c] - top);
      for (let c = 0; c < C; c++) y[r * C + c] = Math.exp(x[r * C + c] - top) / total;
    }
  },
  wasm: "softmax",
  samples: [
    { shapes: { x: [3, 5] } },
    { shapes: { x: [1, 1] } },
    { shapes: { x: [1, 3] }, values: { x: [1000, 999, -1000] } },
  ],
});

/** dx = y (dy - sum(y dy)), a row at a time. */
export const softmaxGradient: Op<"y[R, C], dy[R, C] -> dx[R, C]"> = defineOp({
  name: "softmaxGradient",
  signature: "y[R, C], dy[R, C] -> dx[R, C]",
  invocations: ({ R }) => R,
  wgsl: `fn kernel(r: u32) {
  let base = r * dims.C;
  var dot = 0.0;
  for (var c = 0u; c < dims.C; c++) { dot += y[base + c] * dy[base + c]; }
  for (var c = 0u; c < dims.C; c++) { dx[base + c] = y[base + c] * (dy[base + c] - dot); }
}`,
  backward: ({ y, dy, ddx }) => ({
    y: () => {
      const total = (a: Tensor, b: Tensor) => sum(multiply(a, b), [1], true);
      return subtract(multiply(ddx, subtract(dy, total(y, dy))), multiply(dy, total(y, ddx)));
    },
    dy: () => softmaxGradient(y, ddx),
  }),
  reference({ y, dy, dx }, { R, C }) {
    for (let r = 0; r < R; r++) {
      let dot = 0;
      for (let c = 0; c < C; c++) dot += y[r * C + c] * dy[r * C + c];
      for (let c = 0; c < C; c++) dx[r * C + c] = y[r * C + c] * (dy[r * C + c] - dot);
    }
  },
  wasm: "softmaxGradient",
  samples: [{ shapes: { y: [3, 5], dy: [3, 5] } }],
});

/** Softmax over the last axis: exp(x) / sum(exp(x)). @throws {ShapeError} if x has no axis */
export function softmax(x: Tensor): Tensor {
  if (x.shape.length === 0) {
    throw new ShapeError(`Cannot run softmax: x ${x} has no axis (expected at least one)`);
  }
  const [C] = x.shape.slice(-1);
  return reshape(softmaxRows(reshape(x, [sizeOf(x.shape.slice(0, -1)), C])), x.shape);
}
