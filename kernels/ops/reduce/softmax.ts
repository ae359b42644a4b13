import { refuse } from "../../core/checks.ts";
import type { NumberArray } from "../../devices/device.ts";
import { nanWgsl } from "../elementwise/shared_wgsl.ts";
import { defineOp, type Op } from "../../op.ts";
import type { Tensor } from "../../core/tensor.ts";
import { multiply, negate, subtract } from "../elementwise/binary.ts";
import { reshape } from "../layout/movement.ts";
import { ShapeError, sizeOf } from "../../core/shape.ts";
import { sum } from "./reduce.ts";
import { exp } from "../elementwise/unary.ts";

/** The largest number of a row (NaN if any is NaN), and the sum of exp(x - top) over the row. */
export function expSum(row: NumberArray): { readonly top: number; readonly total: number } {
  let top = -Infinity, total = 0;
  for (const x of row) top = Math.max(top, x);
  for (const x of row) total += Math.exp(x - top);
  return { top, total };
}

/** WGSL of `topOf` and `sumOfExp`, which do the same for the row starting at `base` in a buffer of [R, C]. */
export function expSumWgsl(x: string): string {
  return `${nanWgsl}
fn topOf(base: u32) -> f32 {
  var top = ${x}[base];
  for (var c = 1u; c < dims.C; c++) {
    let v = ${x}[base + c];
    if (!isNan(top) && (v > top || isNan(v))) { top = v; }
  }
  return top;
}
fn sumOfExp(base: u32, top: f32) -> f32 {
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { total += expOf(${x}[base + c] - top); }
  return total;
}
`;
}

const softmaxRows = defineOp({
  name: "softmax",
  signature: "x[R, C] -> y[R, C]",
  invocations: ({ R }) => R,
  wgsl: `${nanWgsl}
fn kernel(r: u32) {
  let base = r * dims.C;
  var top = x[base];
  for (var c = 1u; c < dims.C; c++) { top = max(top, x[base + c]); }
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { let e = expOf(x[base + c] - top); y[base + c] = e; total += e; }
  for (var c = 0u; c < dims.C; c++) { y[base + c] /= total; }
}`,
  backward: ({ y, dy }) => ({ x: () => softmaxGradient(y, dy) }),
  reference({ x, y }, { R, C }) {
    for (let r = 0; r < R; r++) {
      const { top, total } = expSum(x.subarray(r * C, (r + 1) * C));
      for (let i = r * C; i < (r + 1) * C; i++) y[i] = Math.exp(x[i] - top) / total;
    }
  },
  wasm: "softmax",
  samples: [
    { shapes: { x: [3, 5] } },
    { shapes: { x: [1, 1] } },
    { shapes: { x: [1, 3] }, values: { x: [1000, 999, -1000] } },
  ],
});

/** dx = y (dy - sum(y dy)), row by row. */
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

/** Softmax over the last axis: exp(x) / sum(exp(x)). */
export function softmax(x: Tensor): Tensor {
  return alongRows("softmax", softmaxRows, x);
}

/** Runs an op on rows [R, C] along the last axis. */
function alongRows(name: string, op: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const C = x.shape.at(-1);
  if (C === undefined) refuse(ShapeError, `run ${name}: x ${x} has no axis`, "at least one");
  return reshape(op(reshape(x, [sizeOf(x.shape.slice(0, -1)), C])), x.shape);
}

const logSoftmaxRows = defineOp({
  name: "logSoftmax",
  signature: "x[R, C] -> y[R, C]",
  invocations: ({ R }) => R,
  wgsl: `${expSumWgsl("x")}
fn kernel(r: u32) {
  let base = r * dims.C;
  let top = topOf(base);
  let rest = logOf(sumOfExp(base, top));
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

/** dx = dy - exp(y) sum(dy), row by row. */
const logSoftmaxGradient: Op<"y[R, C], dy[R, C] -> dx[R, C]"> = defineOp({
  name: "logSoftmaxGradient",
  signature: "y[R, C], dy[R, C] -> dx[R, C]",
  invocations: ({ R }) => R,
  wgsl: `${nanWgsl}
fn kernel(r: u32) {
  let base = r * dims.C;
  var total = 0.0;
  for (var c = 0u; c < dims.C; c++) { total += dy[base + c]; }
  for (var c = 0u; c < dims.C; c++) { dx[base + c] = dy[base + c] - expOf(y[base + c]) * total; }
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
 * Logarithm of the softmax over the last axis, x - log(sum(exp(x))), without overflow. A row that contains NaN is all
 * NaN.
 */
export function logSoftmax(x: Tensor): Tensor {
  return alongRows("logSoftmax", logSoftmaxRows, x);
}
