import { makeHistory, Tensor } from "../core/tensor.ts";
import { checkList, describeValue, isCount, refuse } from "../core/checks.ts";
import { defineOp, type Op } from "../op.ts";
import {
  axisOf,
  checkedSizeOf,
  sameShape,
  type Shape,
  ShapeError,
  showShape,
  sizeOf,
  stridesOf,
} from "../core/shape.ts";
import { inQuads } from "./elementwise/shared.ts";
import type { WasmCall } from "../devices/cpu/wasm_call.ts";
import type { Dims } from "../devices/device.ts";

/**
 * The same values in another shape, without a copy: both share memory.
 *
 * @param x f32 or u32
 * @param shape the new shape, with the same number of elements
 * @returns a view of x with this shape
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (checkedSizeOf(shape) !== x.size) {
    refuse(ShapeError, `reshape ${x} to ${showShape(shape)}`, `a shape of ${x.size} elements`);
  }
  const history = makeHistory({
    op: "reshape",
    output: "y",
    names: ["x"],
    inputs: [x],
    rules: (_, dy) => ({ x: () => reshape(dy, x.shape) }),
  });
  return new Tensor(x.storage, shape, x.type, x.offset, history);
}

const concatPair: Op<"a[P, A, Q], b[P, B, Q] -> y[P, C, Q]"> = defineOp({
  name: "concat",
  signature: "a[P, A, Q], b[P, B, Q] -> y[P, C, Q]",
  derive: ({ A, B }) => ({ C: A + B }),
  ...inQuads(["a", "b", "y"], ({ P, C, Q }) => P * C * Q, ({ Q }) => Q % 4 === 0),
  wgsl: (_, { width }) =>
    `fn kernel(i: u32) {
  let Q = dims.Q / ${width}u;
  let inner = dims.C * Q;
  let p = i / inner;
  let j = i % inner;
  let own = dims.A * Q;
  if (j < own) { y[i] = a[p * own + j]; } else { y[i] = b[p * dims.B * Q + j - own]; }
}`,
  backward: ({ a, b, dy }) => ({
    a: () => sliceMiddle(dy, { start: 0, B: a.shape[1] }),
    b: () => sliceMiddle(dy, { start: a.shape[1], B: b.shape[1] }),
  }),
  forward: ({ a, b }, tangents) => concatPair(tangents.a ?? zeros(a.shape), tangents.b ?? zeros(b.shape)),
  reference({ a, b, y }, { P, A, B, Q }) {
    for (let p = 0; p < P; p++) {
      y.set(a.subarray(p * A * Q, (p + 1) * A * Q), p * (A + B) * Q);
      y.set(b.subarray(p * B * Q, (p + 1) * B * Q), p * (A + B) * Q + A * Q);
    }
  },
  wasm: ({ a, b, y }, { P, A, B, C, Q }) => [
    copyRows(a, y, P, A * Q, A * Q, C * Q),
    copyRows(b, y + 4 * A * Q, P, B * Q, B * Q, C * Q),
  ],
  samples: [{ shapes: { a: [2, 3, 5], b: [2, 1, 5] } }, { shapes: { a: [2, 3, 4], b: [2, 1, 4] } }, {
    shapes: { a: [1, 1, 1], b: [1, 1, 1] },
  }],
});

const sliceMiddle: Op<"x[P, A, Q] -> y[P, B, Q]", { start: "u32"; B: "u32" }> = defineOp({
  name: "slice",
  signature: "x[P, A, Q] -> y[P, B, Q]",
  attributes: { start: "u32", B: "u32" },
  ...inQuads(["x", "y"], ({ P, B, Q }) => P * B * Q, ({ Q }) => Q % 4 === 0),
  wgsl: (_, { width }) =>
    `fn kernel(i: u32) {
  let Q = dims.Q / ${width}u;
  let inner = dims.B * Q;
  y[i] = x[(i / inner * dims.A + dims.start) * Q + i % inner];
}`,
  backward: ({ x, dy }, { start }) => ({ x: () => embedMiddle(dy, { start, A: x.shape[1] }) }),
  reference({ x, y }, { P, A, B, Q, start }) {
    for (let p = 0; p < P; p++) y.set(x.subarray((p * A + start) * Q, (p * A + start + B) * Q), p * B * Q);
  },
  wasm: ({ x, y }, { P, A, B, Q, start }) => [copyRows(x + 4 * start * Q, y, P, B * Q, A * Q, B * Q)],
  samples: [[2, 5, 3], [2, 5, 8]].map((x) => ({ shapes: { x }, attributes: { start: 1, B: 3 } })),
});

/** Gradient of `slice`: dy at its position, zeros elsewhere. */
const embedMiddle: Op<"dy[P, B, Q] -> dx[P, A, Q]", { start: "u32"; A: "u32" }> = defineOp({
  name: "sliceGradient",
  signature: "dy[P, B, Q] -> dx[P, A, Q]",
  attributes: { start: "u32", A: "u32" },
  wgsl: `fn kernel(i: u32) {
  let p = i / (dims.A * dims.Q);
  let a = i / dims.Q % dims.A;
  let inside = a >= dims.start && a < dims.start + dims.B;
  dx[i] = 0.0;
  if (inside) { dx[i] = dy[(p * dims.B + a - dims.start) * dims.Q + i % dims.Q]; }
}`,
  empty: zeros,
  backward: ({ dy, ddx }, { start }) => ({ dy: () => sliceMiddle(ddx, { start, B: dy.shape[1] }) }),
  reference({ dy, dx }, { P, A, B, Q, start }) {
    dx.fill(0);
    for (let p = 0; p < P; p++) dx.set(dy.subarray(p * B * Q, (p + 1) * B * Q), (p * A + start) * Q);
  },
  wasm: ({ dy, dx }, { P, A, B, Q, start }) => [
    { kernel: "fill", args: { y: dx, n: P * A * Q, value: 0 } },
    copyRows(dy, dx + 4 * start * Q, P, B * Q, B * Q, A * Q),
  ],
  samples: [{ shapes: { dy: [2, 3, 3] }, attributes: { start: 1, A: 5 } }],
});

/** Number of elements before, along and after an axis. */
function around(shape: Shape, axis: number): [number, number, number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis], sizeOf(shape.slice(axis + 1))];
}

/**
 * Joins tensors along an axis.
 *
 * @param tensors f32[..., L, ...], with the same other axes
 * @param axis the axis to join along; negative ones count from the end
 * @returns f32[..., sum of all L, ...]; a single tensor, or the only one with L above 0, is returned itself
 */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  checkList("run concat", "tensors are", tensors, "tensors");
  if (tensors.length === 0) refuse(ShapeError, "concat: there are no tensors", "at least one");
  const k = axisOf(axis, tensors[0].shape.length, "concat");
  const join = (a: Tensor, b: Tensor): Tensor => {
    if (
      b.shape.length !== a.shape.length ||
      a.shape.some((length, other) => other !== k && length !== b.shape[other])
    ) {
      refuse(ShapeError, `concat ${a} with ${b} along axis ${k}: other axes differ`);
    }
    if (b.type !== a.type) refuse(TypeError, `concat ${a} with ${b}`, "one type");
    if (a.shape[k] === 0) return b;
    if (b.shape[k] === 0) return a;
    const y = concatPair(reshape(a, around(a.shape, k)), reshape(b, around(b.shape, k)));
    return reshape(y, a.shape.map((length, other) => other === k ? length + b.shape[k] : length));
  };
  // In pairs, so that no part is copied more than log2(n) times.
  const halves = (from: number, to: number): Tensor => {
    const middle = (from + to) >> 1;
    return to - from === 1 ? tensors[from] : join(halves(from, middle), halves(middle, to));
  };
  return halves(0, tensors.length);
}

/**
 * Joins tensors of one shape along a new axis.
 *
 * @param tensors f32 of one shape
 * @param axis the new axis in the result, the first by default; negative ones count from the end
 * @returns f32, with one more axis, whose length is the number of tensors
 */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  checkList("run stack", "tensors are", tensors, "tensors");
  if (tensors.length === 0) refuse(ShapeError, "stack: there are no tensors", "at least one");
  const [first] = tensors;
  const k = axisOf(axis, first.shape.length + 1, "stack");
  const other = tensors.find(({ shape }) => !sameShape(shape, first.shape));
  if (other) refuse(ShapeError, `stack ${first} with ${other}`, "one shape");
  return concat(tensors.map((x) => reshape(x, [...x.shape.slice(0, k), 1, ...x.shape.slice(k)])), k);
}

/**
 * Copies `length` elements from `start` on along an axis.
 *
 * @param x f32[..., L, ...]
 * @param axis the axis to slice; negative ones count from the end
 * @param start index of the first element, from 0
 * @param length number of elements, at least 1
 * @returns f32[..., length, ...]
 */
export function slice(x: Tensor, axis: number, start: number, length: number): Tensor {
  const k = axisOf(axis, x.shape.length, "slice");
  if (
    !(Number.isInteger(start) && Number.isInteger(length) && start >= 0 && length >= 1 &&
      start + length <= x.shape[k])
  ) {
    const part = `${describeValue(length)} from ${describeValue(start)}`;
    refuse(ShapeError, `slice ${x}: ${part} along axis ${k} of length ${x.shape[k]}`);
  }
  const y = sliceMiddle(reshape(x, around(x.shape, k)), { start, B: length });
  return reshape(y, x.shape.map((whole, other) => other === k ? length : whole));
}

/**
 * Surrounds a tensor with zeros.
 *
 * @param x f32
 * @param sides the numbers of zeros before and after, for each of the last axes: `[[1, 1], [2, 2]]` adds a row above and
 * below images, and two columns on either side
 * @returns f32; x itself if there is nothing to add
 */
export function pad(x: Tensor, sides: readonly (readonly [before: number, after: number])[]): Tensor {
  checkList("run pad", "sides are", sides, "pairs, such as [[1, 1], [2, 2]]");
  const rank = x.shape.length;
  if (
    sides.length > rank ||
    !sides.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((side) => isCount(side)))
  ) {
    refuse(ShapeError, `pad ${x} by ${JSON.stringify(sides)}`, "a pair of whole numbers for each last axis");
  }
  return sides.reduce((y, [before, after], i) => {
    const k = rank - sides.length + i;
    const length = before + y.shape[k] + after;
    if (before + after === 0) return y;
    const wide = embedMiddle(reshape(y, around(y.shape, k)), { start: before, A: length });
    return reshape(wide, y.shape.map((own, axis) => axis === k ? length : own));
  }, x);
}

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
    const n = dims[`n${k}`];
    const s = dims[`s${k}`];
    const [inner] = axes;
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
