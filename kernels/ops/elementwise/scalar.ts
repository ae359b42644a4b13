import { describeValue } from "../../core/check_tensor.ts";
import { withDevice } from "../../core/context.ts";
import { Tensor } from "../../core/tensor.ts";
import { UserError } from "../../core/user_error.ts";
import { full } from "../layout/fill.ts";

/** A number as a tensor that broadcasts, on the device of another one. */
export function scalarBeside(x: Tensor, value: Tensor | number): Tensor {
  return value instanceof Tensor ? value : withDevice(x.device, () => full([], value));
}

/** Both operands as tensors. @throws {UserError} if neither is one, or one is neither a tensor nor a number */
export function operands(name: string, a: Tensor | number, b: Tensor | number): [a: Tensor, b: Tensor] {
  checkOperands(name, a, b);
  return [scalarBeside(b as Tensor, a), scalarBeside(a as Tensor, b)];
}

/** @throws {UserError} if neither operand is a tensor, or one is neither a tensor nor a number */
export function checkOperands(name: string, a: unknown, b: unknown): void {
  const isTensor = [a, b].map((value) => value instanceof Tensor);
  if (isTensor.every((is, i) => is || typeof [a, b][i] === "number") && isTensor.includes(true)) return;
  throw new UserError(
    `Cannot run ${name}: a is ${describeValue(a)} and b is ${
      describeValue(b)
    } (expected tensors, or a tensor and a number)`,
  );
}
