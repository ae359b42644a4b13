import { Tensor, tensor } from "../../core/tensor.ts";
import { affine, inQuads, nanWgsl, noShift } from "./shared.ts";
import { broadcastShapes, broadcastStrides, type Shape, ShapeError } from "../../core/shape.ts";
import type { Dims, NumberArray, Tuning } from "../../devices/device.ts";
import { describeValue, isCount, maxU32, refuse, UserError } from "../../core/checks.ts";
import { Binary, Ternary } from "../../devices/cpu/elementwise_functions.ts";
import { fieldArguments, type WasmCall } from "../../devices/cpu/wasm_call.ts";
import { defineOp, type Op } from "../../op.ts";
import type { Sample } from "../../op_definition.ts";
import { sumTo } from "../reduce/reduce.ts";
import { withDevice } from "../../core/context.ts";
import { full, zeros } from "../layout.ts";

/**
 * How to walk broadcast operands: neighbouring axes with the same pattern are merged, into at most four of lengths n0
 * to n3. Operand `a` has strides a0 to a3. `flat` is 1 if all operands are read in order.
 */
function broadcastWalk(operands: Readonly<Record<string, Shape>>): Record<string, number | Shape> {
  const shapes = Object.values(operands);
  const y = shapes.reduce(broadcastShapes);
  const strides = shapes.map((shape) => broadcastStrides(shape, y));
  const lengths: number[] = [];
  const steps: number[][] = shapes.map(() => []);
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
    const operandShapes = shapes.map((shape) => `[${shape.join(", ")}]`).join(" with ");
    const what = `broadcast ${operandShapes}: they stretch in ${lengths.length} groups of axes`;
    refuse(ShapeError, what, "at most 4; permute axes so that those which stretch alike are neighbours");
  }
  const flat = shapes.every((shape) => shape.join() === shapes[0].join());
  const walk: Record<string, number | Shape> = { Y: y, flat: flat ? 1 : 0 };
  for (let k = 0; k < 4; k++) {
    const axis = k - 4 + lengths.length;
    walk[`n${k}`] = lengths[axis] ?? 1;
    Object.keys(operands).forEach((name, i) => walk[`${name}${k}`] = steps[i][axis] ?? 0);
  }
  return walk;
}

/**
 * WGSL of a kernel over broadcast operands.
 *
 * @param operands names of the input buffers
 * @param result name of the output buffer
 * @param value expression of a result; `a_` is the element of operand `a`
 * @param flat whether all operands are read in order
 */
function broadcastWgsl(operands: readonly string[], result: string, value: string, flat: boolean): string {
  if (flat) {
    return `fn kernel(i: u32) {
${operands.map((name) => `  let ${name}_ = ${name}[i];`).join("\n")}
  ${result}[i] = ${value};
}`;
  }
  const step = (name: string) =>
    `let at_${name} = ${[0, 1, 2, 3].map((k) => `i${k} * dims.${name}${k}`).join(" + ")};`;
  return `fn kernel(i: u32) {
  let i3 = i % dims.n3; let r2 = i / dims.n3;
  let i2 = r2 % dims.n2; let r1 = r2 / dims.n2;
  let i1 = r1 % dims.n1; let i0 = r1 / dims.n1;
${operands.map((name) => `  ${step(name)}`).join("\n")}
${operands.map((name) => `  let ${name}_ = ${name}[at_${name}];`).join("\n")}
  ${result}[i] = ${value};
}`;
}

/** Index of each operand's element for result i. */
function placesOf(operands: readonly string[], i: number, dims: Dims): number[] {
  const places = operands.map(() => 0);
  for (let k = 3, rest = i; k >= 0; k--) {
    const length = dims[`n${k}`];
    const at = rest % length;
    operands.forEach((name, operand) => places[operand] += at * dims[`${name}${k}`]);
    rest = (rest - at) / length;
  }
  return places;
}

/** How the CPU device's kernels walk through an operand. */
function stridesOf(operand: string, dims: Dims) {
  return {
    s0: dims[`${operand}0`],
    s1: dims[`${operand}1`],
    s2: dims[`${operand}2`],
    s3: dims[`${operand}3`],
  };
}

/** A function of the elements of two or three operands. */
interface ElementwiseFunction {
  /** WGSL expression; `a_` is the element of operand `a`. */
  readonly value: string;
  readonly apply: (...values: number[]) => number;
  /** WGSL that the expression needs. */
  readonly functions?: string;
  /** Whether the expression also holds for vectors. */
  readonly isArithmetic?: boolean;
  readonly samples?: readonly Sample[];
}

/**
 * Declaration fields of an elementwise function of broadcast operands.
 *
 * @param operands axes of the input buffers by name, such as `A` for `a[A...]`
 * @param result name of the output buffer
 */
function broadcastKernel(
  operands: Readonly<Record<string, string>>,
  result: string,
  { value, apply, functions = "", isArithmetic = false }: ElementwiseFunction,
) {
  const names = Object.keys(operands);
  const quads = inQuads(
    [...names, result],
    ({ Y }) => Y,
    ({ Y, flat }) => isArithmetic && flat === 1 && Y % 4 === 0,
  );
  return {
    ...quads,
    specialise: (dims: Dims, tuning: Tuning) => ({ ...quads.specialise(dims, tuning), flat: dims.flat }),
    derive: (_: unknown, shapes: Readonly<Record<string, Shape>>) =>
      broadcastWalk(Object.fromEntries(names.map((name) => [name, shapes[operands[name]]]))),
    wgsl: (_: Tuning, { flat }: Dims) => functions + broadcastWgsl(names, result, value, flat === 1),
    reference(arrays: Readonly<Record<string, NumberArray>>, dims: Dims) {
      arrays[result].forEach((_, i) => {
        const places = placesOf(names, i, dims);
        arrays[result][i] = apply(...names.map((name, k) => arrays[name][places[k]]));
      });
    },
  };
}

/** Shapes that broadcast, also over four groups of axes, and two equal ones. */
const broadcasting: readonly Sample[] = [
  { shapes: { a: [3, 5], b: [3, 5] } },
  { shapes: { a: [3, 8], b: [3, 8] } },
  { shapes: { a: [2, 3, 4, 5], b: [3, 1, 5] } },
  { shapes: { a: [4, 1], b: [2, 1, 3] } },
  { shapes: { a: [], b: [2, 2] } },
  { shapes: { a: [2, 2, 1, 2, 1], b: [1, 1, 2, 1, 2] } },
];

/** The CPU device's y += b of n numbers, at these addresses. */
export function addCall(y: number, b: number, n: number): WasmCall {
  return { kernel: "binary", args: { a: y, b, y, n, f: Binary.add } };
}

/** Declaration fields for f, of an op with inputs `a[A...], b[B...]` and output `y`. */
function binaryKernel(name: keyof typeof Binary, given: ElementwiseFunction) {
  const f = Binary[name];
  return {
    ...broadcastKernel({ a: "A", b: "B" }, "y", given),
    wasm: (
      { a, b, y }: Readonly<Record<"a" | "b" | "y", number>>,
      dims: Dims,
    ): readonly WasmCall[] => {
      if (dims.flat) return [{ kernel: "binary", args: { a, b, y, n: dims.Y, f } }];
      const { n0, n1, n2, n3 } = dims;
      const walks = {
        ...fieldArguments("walkA", stridesOf("a", dims)),
        ...fieldArguments("walkB", stridesOf("b", dims)),
      };
      return [{ kernel: "broadcast", args: { a, b, y, f, n0, n1, n2, n3, ...walks } }];
    },
    samples: [...broadcasting, ...given.samples ?? []],
  };
}

/** Declares the op of f. `backward` gives the gradients of a and b before they are summed to the shapes of a and b. */
function defineBinary(
  name: keyof typeof Binary,
  f: ElementwiseFunction,
  backward: (saved: { a: Tensor; b: Tensor; y: Tensor; dy: Tensor }) => { a: () => Tensor; b: () => Tensor },
): Op<"a[A...], b[B...] -> y[Y...]"> {
  return defineOp({
    name,
    signature: "a[A...], b[B...] -> y[Y...]",
    ...binaryKernel(name, f),
    backward: ({ a, b, y, dy }) => {
      const unsummed = backward({ a, b, y, dy });
      return { a: () => sumTo(unsummed.a(), a.shape), b: () => sumTo(unsummed.b(), b.shape) };
    },
  });
}

/** Declaration fields of a function of three operands; the arguments are those of `broadcastKernel`. */
function ternaryKernel(
  name: keyof typeof Ternary,
  operands: Readonly<Record<string, string>>,
  result: string,
  given: ElementwiseFunction,
) {
  const f = Ternary[name];
  const names = Object.keys(operands);
  return {
    ...broadcastKernel(operands, result, given),
    wasm(addresses: Readonly<Record<string, number>>, dims: Dims): readonly WasmCall[] {
      const [u, v, w] = names.map((name) => addresses[name]);
      const { n0, n1, n2, n3 } = dims;
      const args = {
        u,
        v,
        w,
        y: addresses[result],
        f,
        n0,
        n1,
        n2,
        n3,
        ...fieldArguments("walkU", stridesOf(names[0], dims)),
        ...fieldArguments("walkV", stridesOf(names[1], dims)),
        ...fieldArguments("walkW", stridesOf(names[2], dims)),
      };
      return [{ kernel: "ternary", args }];
    },
  };
}

/** A number as a scalar tensor on the device of x; tensors are returned as they are. */
function scalarBeside(x: Tensor, value: Tensor | number): Tensor {
  return value instanceof Tensor ? value : withDevice(x.device, () => full([], value));
}

/** Both operands as tensors. */
export function operands(name: string, a: Tensor | number, b: Tensor | number): [a: Tensor, b: Tensor] {
  checkOperands(name, a, b);
  return [scalarBeside(b as Tensor, a), scalarBeside(a as Tensor, b)];
}

function checkOperands(name: string, a: unknown, b: unknown): void {
  const isTensor = [a, b].map((value) => value instanceof Tensor);
  if (isTensor.every((is, i) => is || typeof [a, b][i] === "number") && isTensor.includes(true)) return;
  const shown = `a is ${describeValue(a)} and b is ${describeValue(b)}`;
  refuse(UserError, `run ${name}: ${shown}`, "tensors, or a tensor and a number");
}

const addOp = defineBinary(
  "add",
  { value: "a_ + b_", apply: (a, b) => a + b, isArithmetic: true },
  ({ dy }) => ({ a: () => dy, b: () => dy }),
);
const subtractOp = defineBinary(
  "subtract",
  { value: "a_ - b_", apply: (a, b) => a - b, isArithmetic: true },
  ({ dy }) => ({ a: () => dy, b: () => negate(dy) }),
);
const multiplyOp = defineBinary(
  "multiply",
  { value: "a_ * b_", apply: (a, b) => a * b, isArithmetic: true },
  ({ a, b, dy }) => ({ a: () => multiply(dy, b), b: () => multiply(dy, a) }),
);
const divideOp = defineBinary(
  "divide",
  { value: "a_ / b_", apply: (a, b) => a / b, isArithmetic: true },
  ({ b, y, dy }) => ({ a: () => divide(dy, b), b: () => negate(divide(multiply(dy, y), b)) }),
);

/** -x. */
export function negate(x: Tensor): Tensor {
  return affine(x, { scale: -1, shift: noShift });
}

/** a + b, elementwise, broadcasting; either may be a number. */
export function add(a: Tensor | number, b: Tensor | number): Tensor {
  checkOperands("add", a, b);
  if (!(a instanceof Tensor)) return affine(b as Tensor, { scale: 1, shift: a });
  return b instanceof Tensor ? addOp(a, b) : affine(a, { scale: 1, shift: b });
}

/** a - b; otherwise as {@linkcode add}. */
export function subtract(a: Tensor | number, b: Tensor | number): Tensor {
  checkOperands("subtract", a, b);
  if (!(a instanceof Tensor)) return affine(b as Tensor, { scale: -1, shift: a });
  return b instanceof Tensor ? subtractOp(a, b) : affine(a, { scale: 1, shift: -b });
}

/** a b; otherwise as {@linkcode add}. */
export function multiply(a: Tensor | number, b: Tensor | number): Tensor {
  checkOperands("multiply", a, b);
  if (!(a instanceof Tensor)) return affine(b as Tensor, { scale: a, shift: noShift });
  return b instanceof Tensor ? multiplyOp(a, b) : affine(a, { scale: b, shift: noShift });
}

/** Whether f32 holds a number at full precision. */
const isNormal = (x: number) => Math.abs(x) >= 2 ** -126 && Math.abs(x) < 2 ** 128;

/**
 * a / b, elementwise, broadcasting; either may be a number. Division by a number is a (1 / b) if f32 holds
 * 1 / b, which may differ in the last digit.
 */
export function divide(a: Tensor | number, b: Tensor | number): Tensor {
  if (!(a instanceof Tensor) || b instanceof Tensor) return divideOp(...operands("divide", a, b));
  checkOperands("divide", a, b);
  const scale = 1 / b;
  const divisor = Math.fround(b);
  if (isNormal(scale) || divisor === 0 || !Number.isFinite(divisor)) {
    return affine(a, { scale, shift: noShift });
  }
  return divideOp(a, scalarBeside(a, b));
}

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
