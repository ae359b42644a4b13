import { Tensor, tensor } from "../../core/tensor.ts";
import { defineOp, type Op } from "../../op.ts";
import { zeros } from "../layout/fill.ts";
import { sumTo } from "../reduce/reduce.ts";
import { binaryKernel, defineBinary, operands, scalarBeside, ternaryKernel } from "./broadcast.ts";
import { nanWgsl } from "./shared_wgsl.ts";
import { withDevice } from "../../core/context.ts";
import { isCount, maxU32, refuse } from "../../core/checks.ts";

/** The share of dy that goes to a in max(a, b): all if a > b, half at a tie, none if a < b. */
const largerShare: Op<"a[A...], b[B...], dy[D...] -> da[Y...]"> = defineOp({
  name: "largerShare",
  signature: "a[A...], b[B...], dy[D...] -> da[Y...]",
  ...ternaryKernel("largerShare", { a: "A", b: "B", dy: "D" }, "da", {
    value: "select(select(dy_, 0.5 * dy_, a_ == b_), 0.0, a_ < b_)",
    apply: (a, b, dy) => a < b ? 0 : a === b ? dy / 2 : dy,
  }),
  backward: ({ a, b, dy, dda }) => ({
    a: () => zeros(a.shape),
    b: () => zeros(b.shape),
    dy: () => sumTo(largerShare(a, b, dda), dy.shape),
  }),
  samples: [
    { shapes: { a: [3, 5], b: [3, 5], dy: [3, 5] } },
    { shapes: { a: [2, 3, 1, 5], b: [4, 1], dy: [2, 3, 4, 5] } },
    { shapes: { a: [1], b: [], dy: [1] } },
    { shapes: { a: [3], b: [3], dy: [3] }, values: { a: [1, 2, 3], b: [1, 3, 2] }, smooth: false },
  ],
});

const tie = { shapes: { a: [3], b: [3] }, values: { a: [1, 2, -3], b: [1, 3, -4] }, smooth: false };

const maximumOp = defineBinary(
  "maximum",
  { functions: nanWgsl, value: "larger(a_, b_)", apply: Math.max, samples: [tie] },
  ({ a, b, dy }) => ({ a: () => largerShare(a, b, dy), b: () => largerShare(b, a, dy) }),
);

const minimumOp = defineBinary(
  "minimum",
  {
    functions: `${nanWgsl}
fn smaller(a: f32, b: f32) -> f32 { return select(b, a, isNan(a) || (a < b && !isNan(b))); }
`,
    value: "smaller(a_, b_)",
    apply: Math.min,
    samples: [tie],
  },
  ({ a, b, dy }) => ({ a: () => largerShare(b, a, dy), b: () => largerShare(a, b, dy) }),
);

/**
 * The larger of a and b, elementwise, broadcasting; NaN if either is NaN. Either may be a number.
 *
 * At a tie, a and b get half of the gradient each; if either is NaN, both get all of it, as in PyTorch.
 */
export function maximum(a: Tensor | number, b: Tensor | number): Tensor {
  return maximumOp(...operands("maximum", a, b));
}

/** The smaller of a and b, elementwise, broadcasting; NaN and ties as in `maximum`. */
export function minimum(a: Tensor | number, b: Tensor | number): Tensor {
  return minimumOp(...operands("minimum", a, b));
}

const greaterOp: Op<"a[A...], b[B...] -> y:u32[Y...]"> = defineOp({
  name: "greater",
  signature: "a[A...], b[B...] -> y:u32[Y...]",
  ...binaryKernel("greater", {
    value: "select(0u, 1u, a_ > b_)",
    apply: (a, b) => a > b ? 1 : 0,
    samples: [{ shapes: { a: [3], b: [3] }, values: { a: [1, 2, 3], b: [1, 3, 2] } }],
  }),
});

/**
 * Whether a > b, elementwise, broadcasting: a condition for `where`. Either may be a number.
 *
 * @returns u32, 1 if a > b, else 0, also if either is NaN; gradients end here
 */
export function greater(a: Tensor | number, b: Tensor | number): Tensor {
  return greaterOp(...operands("greater", a, b));
}

/** Whether a < b; otherwise as `greater`. */
export function less(a: Tensor | number, b: Tensor | number): Tensor {
  const [left, right] = operands("less", a, b);
  return greaterOp(right, left);
}

/** The kernels of `where` for f32, and those for u32. */
const choosing = ternaryKernel("where", { condition: "C", a: "A", b: "B" }, "y", {
  value: "select(b_, a_, condition_ != 0u)",
  apply: (condition, a, b) => condition !== 0 ? a : b,
});

const whereOp: Op<"condition:u32[C...], a[A...], b[B...] -> y[Y...]"> = defineOp({
  name: "where",
  signature: "condition:u32[C...], a[A...], b[B...] -> y[Y...]",
  ...choosing,
  backward: ({ condition, a, b, dy }) => ({
    a: () => sumTo(where(condition, dy, 0), a.shape),
    b: () => sumTo(where(condition, 0, dy), b.shape),
  }),
  samples: [
    {
      shapes: { condition: [3, 3], a: [3, 3], b: [3, 3] },
      values: { condition: Uint32Array.of(1, 0, 1, 0, 0, 7, 0xffffffff, 1, 0) },
    },
    {
      shapes: { condition: [2, 1, 1], a: [3, 5], b: [2, 3, 1] },
      values: { condition: Uint32Array.of(0, 1) },
    },
    { shapes: { condition: [1], a: [], b: [2, 3] }, values: { condition: Uint32Array.of(1) } },
  ],
});

const whereWords = defineOp({
  name: "whereWords",
  signature: "condition:u32[C...], a:u32[A...], b:u32[B...] -> y:u32[Y...]",
  ...choosing,
  samples: [{
    shapes: { condition: [4], a: [4], b: [1] },
    values: {
      condition: Uint32Array.of(1, 0, 7, 1),
      a: Uint32Array.of(3, 1, 0xffffffff, 0x7f800001),
      b: Uint32Array.of(10),
    },
  }],
});

/**
 * a if the condition holds, else b, elementwise, broadcasting. The other value has no influence, even if it is NaN: its
 * gradient is 0.
 *
 * @param condition u32, as returned by `greater`: 0 is false, all else true
 * @param a f32, or u32 such as labels, of the same type as b; a number beside a u32 tensor must be whole, from 0 to
 * 2^32 - 1
 * @returns a tensor of the type of a and b
 */
export function where(condition: Tensor, a: Tensor | number, b: Tensor | number): Tensor {
  if (![a, b].some((value) => value instanceof Tensor && value.type === "u32")) {
    return whereOp(condition, scalarBeside(condition, a), scalarBeside(condition, b));
  }
  return whereWords(condition, wordsBeside(condition, "a", a), wordsBeside(condition, "b", b));
}

/**
 * x limited to a range, elementwise. The gradient is that of x inside and at the ends, and 0 beyond them; NaN stays NaN.
 *
 * @param low lower end, or -Infinity
 * @param high upper end, or Infinity
 */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  if (!(low <= high)) {
    refuse(RangeError, `run clamp: low is ${low}, high is ${high}`, "numbers, low at most high");
  }
  return where(greater(x, high), high, where(less(x, low), low, x));
}

/** A number as a u32 scalar on the device of x. */
function wordsBeside(x: Tensor, name: string, value: Tensor | number): Tensor {
  if (value instanceof Tensor) return value;
  if (isCount(value, 0, maxU32)) return withDevice(x.device, () => tensor(Uint32Array.of(value)));
  refuse(TypeError, `run where: ${name} is ${value}, beside u32`, `a whole number from 0 to ${maxU32}`);
}
