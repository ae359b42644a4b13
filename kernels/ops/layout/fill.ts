import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import { defineOp, type Op } from "../../op.ts";
import { inQuads } from "../elementwise/shared_wgsl.ts";
import { checkedSizeOf, type Shape } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";

/**
 * Copies rows of `width` elements.
 *
 * @param from, to addresses of the first rows
 * @param fromWidth, toWidth row strides in elements
 */
export function copyRows(
  from: number,
  to: number,
  rows: number,
  width: number,
  fromWidth: number,
  toWidth: number,
): WasmCall {
  return {
    kernel: "copyRows",
    args: { from, to, rows, bytes: 4 * width, fromStep: 4 * fromWidth, toStep: 4 * toWidth },
  };
}

const fill = defineOp({
  name: "fill",
  signature: " -> y[n]",
  attributes: { n: "u32", value: "f32" },
  wgsl: "fn kernel(i: u32) { y[i] = dims.value; }",
  reference: ({ y }, { value }) => void y.fill(value),
  wasm: "fill",
  samples: [{ shapes: {}, attributes: { n: 7, value: 0.5 } }, {
    shapes: {},
    attributes: { n: 1, value: -3 },
  }],
});

/** A tensor filled with one value, on the device in use. */
export function full(shape: Shape, value: number): Tensor {
  return new Tensor(fill({ n: checkedSizeOf(shape), value }).storage, shape);
}

/** A tensor of zeros, on the device in use. */
export function zeros(shape: Shape): Tensor {
  return full(shape, 0);
}

/** Overwrites y with the values of x, in place; gradients do not pass through it. */
export const assign: Op<"y[S...], x[S...] -> y[S...]"> = defineOp({
  name: "assign",
  signature: "y[S...], x[S...] -> y[S...]",
  ...inQuads(["y", "x"], ({ S }) => S),
  wgsl: "fn kernel(i: u32) { y[i] = x[i]; }",
  overwrites: true,
  reference: ({ y, x }) => y.set(x),
  wasm: ({ y, x }, { S }) => [copyRows(x, y, 1, S, S, S)],
  samples: [{ shapes: { y: [3, 5], x: [3, 5] } }, { shapes: { y: [3, 8], x: [3, 8] } }],
});

/**
 * Writes one number into `y` in place, at an index on the device, such as into a log of recorded steps. No gradients
 * pass.
 */
export const putAt: Op<"y[n], x[1], index:u32[1] -> y[n]"> = defineOp({
  name: "putAt",
  signature: "y[n], x[1], index:u32[1] -> y[n]",
  invocations: () => 1,
  wgsl: "fn kernel(i: u32) { if (index[i] < dims.n) { y[index[i]] = x[i]; } }",
  reference: ({ y, x, index }) => {
    if (index[0] < y.length) y[index[0]] = x[0];
  },
  wasm: "put",
  samples: [2, 9].map((at) => ({
    shapes: { y: [4], x: [1], index: [1] },
    values: { index: Uint32Array.of(at) },
  })),
});
