import { Tensor } from "../../kernels/mod.ts";
import { readState, type State, writeState } from "../files/state.ts";

/**
 * A part of a network. Its parameters are the fields that are tensors, its children the fields that are modules or
 * arrays of modules. Field names match PyTorch's state dict. Private `#fields` are ignored.
 */
export abstract class Module {}

/**
 * Parameters of a module and its children under their PyTorch state-dict names, in PyTorch's order.
 *
 * @returns the tensors themselves, under names such as `downs.0.conv.weight`
 */
export function namedParameters(module: Module): Map<string, Tensor> {
  return new Map(entries(module, ""));
}

function* entries(value: unknown, name: string): Generator<[string, Tensor]> {
  if (value instanceof Tensor) yield [name, value];
  else if (value instanceof Module || Array.isArray(value)) {
    for (const [key, field] of Object.entries(value)) {
      yield* entries(field, name === "" ? key : `${name}.${key}`);
    }
  }
}

/**
 * Copies the parameters of a module to the host. Later changes do not affect the copy.
 *
 * @throws {DeviceError} if the device has failed
 */
export function stateOf(module: Module): Promise<State> {
  return readState(namedParameters(module));
}

/**
 * Overwrites the parameters of a module, all or none.
 *
 * @param source where the state comes from, for messages
 * @throws {StateError} if a name is missing or unknown, or a shape differs
 */
export function loadState(module: Module, state: State, source: string): void {
  writeState(namedParameters(module), state, source);
}
