import { Tensor } from "../../core/tensor.ts";
import { affine } from "./affine.ts";
import { checkOperands, defineBinary, operands, scalarBeside } from "./broadcast.ts";

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
  return affine(x, { scale: -1, shift: 0 });
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
  if (!(a instanceof Tensor)) return affine(b as Tensor, { scale: a, shift: 0 });
  return b instanceof Tensor ? multiplyOp(a, b) : affine(a, { scale: b, shift: 0 });
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
  const scale = 1 / b, divisor = Math.fround(b);
  if (isNormal(scale) || divisor === 0 || !Number.isFinite(divisor)) return affine(a, { scale, shift: 0 });
  return divideOp(a, scalarBeside(a, b));
}
