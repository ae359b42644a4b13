import { withDevice } from "../../core/context.ts";
import { Tensor } from "../../core/tensor.ts";
import { full } from "../layout/fill.ts";

/** A number as a tensor that broadcasts, on the device of another one. */
export function scalarBeside(x: Tensor, value: Tensor | number): Tensor {
  return value instanceof Tensor ? value : withDevice(x.device, () => full([], value));
}
