import { checkList, refuse } from "../../core/checks.ts";
import { type Shape, ShapeError, stridesOf } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { WasmCall } from "../../devices/cpu/wasm_call.ts";
import type { Dims } from "../../devices/device.ts";
import { defineOp } from "../../op.ts";

const maxRank = 6;

const permuted = defineOp({
  name: "permute",
  signature: "x[X...] -> y[Y...]",
  attributes: { order0: "u32", order1: "u32", order2: "u32", order3: "u32", order4: "u32", order5: "u32" },
  derive(dims, { X }) {
    const order = X.map((_, axis) => dims[`order${axis}`]);
    const strides = stridesOf(X);
    const walk: Record<string, number | Shape> = { Y: order.map((axis) => X[axis]) };
    for (let k = 0; k < maxRank; k++) {
      const axis = order[k - maxRank + X.length];
      walk[`n${k}`] = axis === undefined ? 1 : X[axis];
      walk[`s${k}`] = axis === undefined ? 0 : strides[axis];
    }
    return walk;
  },
  wgsl: `fn kernel(i: u32) {
  var r = i;
  var at = r % dims.n5 * dims.s5; r /= dims.n5;
  at += r % dims.n4 * dims.s4; r /= dims.n4;
  at += r % dims.n3 * dims.s3; r /= dims.n3;
  at += r % dims.n2 * dims.s2; r /= dims.n2;
  at += r % dims.n1 * dims.s1; r /= dims.n1;
  y[i] = x[at + r * dims.s0];
}`,
  backward: ({ x, dy }, attributes) => ({
    x: () => {
      const order = x.shape.map((_, axis) => (attributes as Record<string, number>)[`order${axis}`]);
      return permute(dy, order.map((_, axis) => order.indexOf(axis)));
    },
  }),
  reference({ x, y }, dims) {
    for (let i = 0; i < y.length; i++) {
      let at = 0;
      for (let k = maxRank - 1, r = i; k >= 0; k--) {
        at += r % dims[`n${k}`] * dims[`s${k}`];
        r = Math.floor(r / dims[`n${k}`]);
      }
      y[i] = x[at];
    }
  },
  wasm: permuteCalls,
  samples: [
    { shapes: { x: [2, 3, 5] }, attributes: orderAttributes([2, 0, 1]) },
    { shapes: { x: [2, 1, 3, 2, 1, 2] }, attributes: orderAttributes([5, 3, 1, 0, 2, 4]) },
    { shapes: { x: [2, 3, 2, 3, 2, 2] }, attributes: orderAttributes([4, 2, 5, 1, 3, 0]) },
    { shapes: { x: [3, 2, 70] }, attributes: orderAttributes([1, 0, 2]) },
    { shapes: { x: [530, 19] }, attributes: orderAttributes([1, 0]) },
  ],
});

/**
 * Calls of the kernel of `permute`: axes that stay neighbours are merged. The last one, C, is that along which y is
 * contiguous; R is the one along which x is, or if that is C, the one before.
 */
function permuteCalls({ x, y }: Readonly<Record<"x" | "y", number>>, dims: Dims): readonly WasmCall[] {
  const axes: { n: number; s: number; t: number }[] = [];
  for (let k = maxRank - 1, t = 1; k >= 0; k--) {
    const n = dims[`n${k}`], s = dims[`s${k}`], [inner] = axes;
    if (n === 1) continue;
    if (inner && s === inner.s * inner.n) inner.n *= n;
    else axes.unshift({ n, s, t });
    t *= n;
  }
  const none = { n: 1, s: 0, t: 0 };
  const { n: C, s: sC } = axes.pop() ?? { n: 1, s: 1 };
  const at = sC === 1 ? axes.length - 1 : axes.findIndex(({ s }) => s === 1);
  const [{ n: R, s: sR, t: tR }] = at < 0 ? [none] : axes.splice(at, 1);
  const outer: Record<string, number> = {};
  for (let k = 0; k < 4; k++) {
    const { n, s, t } = axes[k] ?? none;
    Object.assign(outer, { [`n${k}`]: n, [`s${k}`]: s, [`t${k}`]: t });
  }
  return [{ kernel: "permute", args: { x, y, ...outer, R, sR, tR, C, sC } } as WasmCall];
}

function orderAttributes(order: readonly number[]) {
  const [order0 = 0, order1 = 0, order2 = 0, order3 = 0, order4 = 0, order5 = 0] = order;
  return { order0, order1, order2, order3, order4, order5 };
}

/**
 * Reorders axes: axis k of the result is axis `order[k]` of x.
 *
 * @param x f32, with at most six axes
 * @param order each axis of x once, counted from 0
 * @returns f32; its axis k is as long as axis `order[k]` of x
 */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  checkList("run permute", "order is", order, "axes, such as [1, 0]");
  const rank = x.shape.length;
  if (
    order.length !== rank || new Set(order).size !== rank || order.some((axis) => !(axis in x.shape)) ||
    rank > maxRank
  ) {
    refuse(ShapeError, `permute ${x} by [${order.join(", ")}]`, `each axis once, at most ${maxRank} axes`);
  }
  return permuted(x, orderAttributes(order));
}
