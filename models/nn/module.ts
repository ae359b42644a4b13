import { Tensor } from "../../kernels/mod.ts";
import { sameShape } from "../../kernels/core/shape.ts";
import { readState, type State, StateError, writeState } from "./state.ts";

/**
 * A part of a network. Fields that are tensors are its parameters; fields that are modules or arrays of modules are its
 * children. Field names match PyTorch's state dict. Private `#fields` are ignored.
 */
export abstract class Module {
  /** Tells the type checker that a plain object is not a module: its layers would not be found. */
  declare private readonly isModule: true;
}

/**
 * Parameters of a module and its children under their PyTorch state-dict names, in PyTorch's order. A tensor shared by
 * several layers is one parameter, under its first name.
 *
 * @returns the tensors themselves, under names such as `downs.0.conv.weight`
 */
export function namedParameters(module: Module): Map<string, Tensor> {
  const seen = new Set<Tensor>();
  return new Map([...entries(module, "")].filter(([, tensor]) => !seen.has(tensor) && seen.add(tensor)));
}

function* entries(value: unknown, name: string): Generator<[string, Tensor]> {
  if (value instanceof Tensor) yield [name, value];
  else if (value instanceof Module || Array.isArray(value)) {
    for (const [key, field] of Object.entries(value)) {
      yield* entries(field, name === "" ? key : `${name}.${key}`);
    }
  }
}

/** Copies the parameters of a module to the host. @throws {DeviceError} if the device has failed */
export function stateOf(module: Module): Promise<State> {
  return readState(namedParameters(module));
}

/**
 * Overwrites the parameters of a module, all or none. For a tensor shared by several layers, the state needs one of its
 * names and may have all, as PyTorch's files do.
 *
 * @param source origin of the state, for messages
 * @throws {StateError} if a name is missing or unknown, a shape differs, or a shared tensor has different values under
 * its names
 */
export function loadState(module: Module, state: State, source: string): void {
  writeState(namedParameters(module), underFirstNames(module, state, source), source);
}

/** A state with each shared tensor under its first name only. */
function underFirstNames(module: Module, state: State, source: string): State {
  const firstNames = new Map<Tensor, string>();
  const single: State = new Map(state);
  for (const [name, tensor] of entries(module, "")) {
    const first = firstNames.get(tensor) ?? name;
    firstNames.set(tensor, first);
    const value = single.get(name);
    if (first === name || !value) continue;
    const kept = single.get(first) ?? value;
    const isSame = sameShape(value.shape, kept.shape) &&
      value.data.every((x, i) => Object.is(x, kept.data[i]));
    if (!isSame) {
      throw new StateError(
        `Cannot load ${source}: "${first}" and "${name}" differ (expected the same values, as the layers share them); ` +
          "does it belong to another network?",
      );
    }
    single.delete(name);
    single.set(first, kept);
  }
  return single;
}
