import { defineOp } from "../../op.ts";
import { broadcastShapes, broadcastStrides, type Shape, ShapeError } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { Binary } from "../../devices/cpu/elementwise_functions.ts";
import { sumTo } from "../reduce/reduce.ts";
import { affine } from "./affine.ts";

/**
 * How to walk two tensors that broadcast: neighbouring axes that step alike are merged, and at most four remain.
 * `flat` is 1 if both are read in order.
 */
function broadcastWalk(a: Shape, b: Shape): Record<string, number | Shape> {
  const y = broadcastShapes(a, b);
  const strides = [broadcastStrides(a, y), broadcastStrides(b, y)];
  const lengths: number[] = [];
  const steps: number[][] = [[], []];
  for (let axis = y.length - 1; axis >= 0; axis--) {
    if (y[axis] === 1) continue;
    const merges = lengths.length > 0 && steps.every((step, k) => strides[k][axis] === step[0] * lengths[0]);
    if (merges) lengths[0] *= y[axis];
    else {
      lengths.unshift(y[axis]);
      steps.forEach((step, k) => step.unshift(strides[k][axis]));
    }
  }
  if (lengths.length > 4) {
    throw new ShapeError(
      `Cannot broadcast [${a.join(", ")}] with [${b.join(", ")}]: too many alternating axes`,
    );
  }
  const walk: Record<string, number | Shape> = { Y: y, flat: a.join() === b.join() ? 1 : 0 };
  for (let k = 0; k < 4; k++) {
    const axis = k - 4 + lengths.length;
    walk[`n${k}`] = lengths[axis] ?? 1;
    walk[`a${k}`] = steps[0][axis] ?? 0;
    walk[`b${k}`] = steps[1][axis] ?? 0;
  }
  return walk;
}

function defineBinary(
  name: keyof typeof Binary,
  expression: string,
  apply: (a: number, b: number) => number,
  backward: (saved: { a: Tensor; b: Tensor; y: Tensor; dy: Tensor }) => { a: () => Tensor; b: () => Tensor },
) {
  const f = Binary[name];
  return defineOp({
    name,
    signature: "a[A...], b[B...] -> y[Y...]",
    derive: (_, { A, B }) => broadcastWalk(A, B),
    wgsl: `fn kernel(i: u32) {
  var u = i;
  var v = i;
  if (dims.flat == 0u) {
    let i3 = i % dims.n3; let r2 = i / dims.n3;
    let i2 = r2 % dims.n2; let r1 = r2 / dims.n2;
    let i1 = r1 % dims.n1; let i0 = r1 / dims.n1;
    u = i0 * dims.a0 + i1 * dims.a1 + i2 * dims.a2 + i3 * dims.a3;
    v = i0 * dims.b0 + i1 * dims.b1 + i2 * dims.b2 + i3 * dims.b3;
  }
  let a_ = a[u];
  let b_ = b[v];
  y[i] = ${expression};
}`,
    backward: ({ a, b, y, dy }) => {
      const whole = backward({ a, b, y, dy });
      return { a: () => sumTo(whole.a(), a.shape), b: () => sumTo(whole.b(), b.shape) };
    },
    reference({ a, b, y }, { n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3 }) {
      for (let i = 0; i < y.length; i++) {
        const i3 = i % n3, i2 = Math.floor(i / n3) % n2, i1 = Math.floor(i / (n3 * n2)) % n1;
        const i0 = Math.floor(i / (n3 * n2 * n1));
        y[i] = apply(
          a[i0 * a0 + i1 * a1 + i2 * a2 + i3 * a3],
          b[i0 * b0 + i1 * b1 + i2 * b2 + i3 * b3],
        );
      }
    },
    wasm: ({ a, b, y }, { flat, Y, n0, a0, b0, n1, a1, b1, n2, a2, b2, n3, a3, b3 }) =>
      flat
        ? [{ kernel: "binary", args: { a, b, y, n: Y, f } }]
        : [{ kernel: "broadcast", args: { a, b, y, f, n0, a0, b0, n1, a1, b1, n2, a2, b2, n3, a3, b3 } }],
    samples: [
      { shapes: { a: [3, 5], b: [3, 5] } },
      { shapes: { a: [2, 3, 4, 5], b: [3, 1, 5] } },
      { shapes: { a: [4, 1], b: [2, 1, 3] } },
      { shapes: { a: [], b: [2, 2] } },
    ],
  });
}

const addOp = defineBinary("add", "a_ + b_", (a, b) => a + b, ({ dy }) => ({ a: () => dy, b: () => dy }));
const subtractOp = defineBinary(
  "subtract",
  "a_ - b_",
  (a, b) => a - b,
  ({ dy }) => ({ a: () => dy, b: () => negate(dy) }),
);
const multiplyOp = defineBinary("multiply", "a_ * b_", (a, b) => a * b, ({ a, b, dy }) => ({
  a: () => multiply(dy, b),
  b: () => multiply(dy, a),
}));
const divideOp = defineBinary("divide", "a_ / b_", (a, b) => a / b, ({ b, y, dy }) => ({
  a: () => divide(dy, b),
  b: () => negate(divide(multiply(dy, y), b)),
}));

/** -x. */
export function negate(x: Tensor): Tensor {
  return affine(x, { scale: -1, shift: 0 });
}

/** a + b, broadcasting. @throws {ShapeError} if the shapes do not broadcast */
export function add(a: Tensor, b: Tensor | number): Tensor {
  return b instanceof Tensor ? addOp(a, b) : affine(a, { scale: 1, shift: b });
}

/** a - b, broadcasting; either may be a number. @throws {ShapeError} if the shapes do not broadcast */
export function subtract(a: Tensor | number, b: Tensor): Tensor;
/** a - b, broadcasting. @throws {ShapeError} if the shapes do not broadcast */
export function subtract(a: Tensor, b: Tensor | number): Tensor;
export function subtract(a: Tensor | number, b: Tensor | number): Tensor {
  if (!(a instanceof Tensor)) return affine(b as Tensor, { scale: -1, shift: a });
  return b instanceof Tensor ? subtractOp(a, b) : affine(a, { scale: 1, shift: -b });
}

/** a b, elementwise, broadcasting. @throws {ShapeError} if the shapes do not broadcast */
export function multiply(a: Tensor, b: Tensor | number): Tensor {
  return b instanceof Tensor ? multiplyOp(a, b) : affine(a, { scale: b, shift: 0 });
}

/** a / b, elementwise, broadcasting. @throws {ShapeError} if the shapes do not broadcast */
export function divide(a: Tensor, b: Tensor | number): Tensor {
  return b instanceof Tensor ? divideOp(a, b) : affine(a, { scale: 1 / b, shift: 0 });
}
