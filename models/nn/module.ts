import { Tensor, UserError } from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { sameShape, showShape } from "../../kernels/core/shape.ts";
import { nearest } from "../names.ts";

/** A tensor in host memory: its shape and its values in row-major order. */
export interface HostTensor {
  /** Lengths of its axes, outermost first; empty for a scalar. */
  shape: readonly number[];
  /** Values in row-major order. */
  data: Float32Array;
}

/** Tensors in host memory by name: the weights of a network, the moments of an optimizer. */
export type State = Map<string, HostTensor>;

/** Thrown if a state does not match its target: a name is missing or unknown, or a shape differs. */
export class StateError extends UserError {
  /** Name of the error. */
  override name = "StateError";
}

/** Copies named tensors to the host. @throws {DeviceError} if the device has failed */
export async function readState(tensors: ReadonlyMap<string, Tensor>): Promise<State> {
  const reads = Array.from(
    tensors,
    async ([name, tensor]) => [name, { shape: tensor.shape, data: await tensor.read() }] as const,
  );
  return new Map(await Promise.all(reads));
}

/** Checks that a state fits tensors; `source` is its origin. */
export function checkState(tensors: ReadonlyMap<string, Tensor>, state: State, source: string): void {
  const fail = (why: string, expected?: string) => refuse(StateError, `load ${source}: ${why}`, expected);
  for (const name of state.keys()) {
    if (tensors.has(name)) continue;
    fail(`unknown name "${name}"${like(name, tensors)}; does it belong to another network?`);
  }
  for (const [name, tensor] of tensors) {
    const value = state.get(name);
    if (!value) refuse(StateError, `load ${source}: "${name}" is missing${like(name, state)}`);
    if (!sameShape(value.shape, tensor.shape)) {
      const what = `"${name}" is ${showShape(value.shape)} (expected ${tensor})`;
      fail(`${what}; does it belong to a network with other settings?`);
    }
    const { data } = value;
    if (data instanceof Float32Array && data.length === tensor.size) continue;
    const has = `${data.length} values in a ${data.constructor.name}`;
    fail(`"${name}" has ${has}`, `${tensor.size} in a Float32Array`);
  }
}

/**
 * Checks that all numbers of a state are finite.
 *
 * @param source origin of the state, for messages
 */
export function checkFinite(state: State, source: string): void {
  for (const [name, { data }] of state) {
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at < 0) continue;
    const what = `"${name}" is ${data[at]} at index ${at} (expected finite numbers)`;
    const hint = "restore the file from a backup, or use another one of the run";
    refuse(StateError, `load ${source}: ${what}; ${hint}`);
  }
}

/** Overwrites named tensors with the values of a state, all or none. */
export function writeState(tensors: ReadonlyMap<string, Tensor>, state: State, source: string): void {
  checkState(tensors, state, source);
  for (const [name, tensor] of tensors) tensor.write(state.get(name)!.data);
}

function like(name: string, known: ReadonlyMap<string, unknown>): string {
  const meant = nearest(name, known.keys());
  return meant === undefined ? "" : ` (nearest: "${meant}")`;
}

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
      const why = `"${first}" and "${name}" differ (expected the same values, as the layers share them)`;
      refuse(StateError, `load ${source}: ${why}; does it belong to another network?`);
    }
    single.delete(name);
    single.set(first, kept);
  }
  return single;
}
