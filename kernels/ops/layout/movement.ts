import { makeHistory } from "../../autograd/history.ts";
import { checkList, describeValue, isCount, refuse } from "../../core/checks.ts";
import { defineOp, type Op } from "../../op.ts";
import {
  axisOf,
  checkedSizeOf,
  sameShape,
  type Shape,
  ShapeError,
  showShape,
  sizeOf,
} from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { inQuads } from "../elementwise/shared_wgsl.ts";
import { copyRows, zeros } from "./fill.ts";

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
    const k = rank - sides.length + i, length = before + y.shape[k] + after;
    if (before + after === 0) return y;
    const wide = embedMiddle(reshape(y, around(y.shape, k)), { start: before, A: length });
    return reshape(wide, y.shape.map((own, axis) => axis === k ? length : own));
  }, x);
}
