import { isCount } from "./core/checks.ts";
import type { CheckedSignature, InputNames, OutputNames } from "./core/signature.ts";
import type { Shape } from "./core/shape.ts";
import type { Tensor } from "./core/tensor.ts";
import type { Dims, Kernel, NumberArray, Tuning, Workgroups } from "./devices/device.ts";
import type { WasmCall, WasmKernel } from "./devices/cpu/wasm_call.ts";

/** Settings of an op that are not tensors, with the type they have in the kernel's uniform. */
export type AttributeTypes = Readonly<Record<string, "u32" | "f32">>;
/** Attributes of a call by name. */
export type AttributeValues<A extends AttributeTypes> = { readonly [K in keyof A]: number };

/** Copies the attributes of a call to its dims, in the order of their declaration, whatever the order of the call. */
type AttributeCheck = (given: Readonly<Record<string, unknown>>, dims: Record<string, number>) => void;

/**
 * Makes the check of an op's attributes.
 *
 * @returns a function that throws a TypeError if an attribute is missing, unknown or not of its type
 */
export function attributeCheck(op: string, types: AttributeTypes): AttributeCheck {
  const declared = Object.entries(types);
  return (given, dims) => {
    for (const [name, type] of declared) {
      const value = given[name];
      if (!fits(value, type)) refuse(op, types, given);
      dims[name] = value;
    }
    for (const name in given) if (!Object.hasOwn(types, name)) refuse(op, types, given);
  };
}

function fits(value: unknown, type: "u32" | "f32"): value is number {
  return type === "f32" ? typeof value === "number" : isCount(value);
}

function refuse(op: string, types: AttributeTypes, given: Readonly<Record<string, unknown>>): never {
  const declared = Object.entries(types);
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(types, name));
  const missing = declared.map(([name]) => name).filter((name) => given[name] === undefined);
  const wrong = declared.filter(([name, type]) => !fits(given[name], type)).map(([name]) => name);
  const list = (names: readonly string[]) => `attribute${names.length > 1 ? "s" : ""} ${names.join(", ")}`;
  const why = unknown.length > 0
    ? `unknown ${list(unknown)}`
    : missing.length > 0
    ? `missing ${list(missing)}`
    : `attribute ${wrong[0]} is ${given[wrong[0]]}`;
  const expected = declared.map(([name, type]) => `${name}: ${type}`).join(", ") || "none";
  throw new TypeError(`Cannot run ${op}: ${why} (expected attributes: ${expected})`);
}

/** Inputs that the registry test runs an op on. Values are random in [-2, 2) unless given. */
export interface Sample {
  /** Shape of each input by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Attributes of the call. */
  readonly attributes?: Readonly<Record<string, number>>;
  /** Values of inputs by name: required for u32 inputs, and for f32 inputs that must lie in the op's domain. */
  readonly values?: Readonly<Record<string, ArrayLike<number>>>;
  /** `false` at a kink, such as a tie of a maximum, where differences give no gradient. */
  readonly smooth?: boolean;
}

/**
 * What an op's gradient may use: its inputs and outputs by name, and the gradient of its first output, whose name is
 * the output's after a `d`: `dy` for an output `y`.
 */
export type Saved<S extends string> = {
  readonly [
    name in
      | InputNames<S>[number]
      | OutputNames<S>[number]
      | (OutputNames<S> extends readonly [infer First extends string, ...unknown[]] ? `d${First}` : never)
  ]: Tensor;
};

/** An op in one declaration. */
export interface OpDefinition<S extends string, A extends AttributeTypes>
  extends Pick<Kernel, "candidates" | "vectors" | "passes" | "multiplyAdds"> {
  /** Unique among all ops; messages and profiles show it. */
  readonly name: string;
  /** Buffers and axes, `a[M, K], b[K, N] -> y[M, N]`: gives checks, output shapes and uniforms; see `defineOp`. */
  readonly signature: CheckedSignature<S>;
  /** Settings by name with their type; the caller gives them last, as an object. */
  readonly attributes?: A;
  /** Further axes and settings of the kernel, computed from those of the call; a shape stands for an `S...` axis. */
  readonly derive?: (
    dims: Readonly<Record<string, number>> & AttributeValues<A>,
    shapes: Readonly<Record<string, Shape>>,
  ) => Readonly<Record<string, number | Shape>>;
  /** WGSL that defines `fn kernel(i: u32)`; buffers and `dims` are in scope. A function gets the specialised dims. */
  readonly wgsl: string | ((tuning: Tuning, specialised: Dims) => string);
  /**
   * Dims to compile into the shader, where measurements show that it pays: each set of values costs a pipeline. A
   * function may add choices that follow from dims and tuning, such as a tile.
   */
  readonly specialise?: readonly string[] | ((dims: Dims, tuning: Tuning) => Dims);
  /** How often `kernel` runs: by default, once for each element of the first output. */
  readonly invocations?: (dims: Dims, tuning: Tuning) => number;
  /**
   * Runs the kernel in workgroups where it returns any: the WGSL then defines `fn kernel(group: u32, lane: u32)`, which
   * all `lanes` of each of `count` groups run, with `var<workgroup>` memory and `workgroupBarrier()`. Control flow
   * around a barrier may depend on `group` and `dims`, never on `lane`. Whether there are workgroups, and how many
   * lanes they have, may depend only on the tuning and on specialised dims; every adapter has 256 lanes and 16 KiB.
   */
  readonly workgroups?: (dims: Dims, tuning: Tuning) => Workgroups | undefined;
  /**
   * For each differentiable input, a rule that gives its gradient, of its shape, made of differentiable ops, so that
   * gradients of gradients are right. It runs only if that gradient is needed. Where an input has no rule, asking for a
   * gradient through it is an error.
   */
  readonly backward?: (
    saved: Saved<S>,
    attributes: AttributeValues<A>,
  ) => { readonly [name in InputNames<S>[number]]?: () => Tensor };
  /**
   * The result where an input is empty but the result is not, given its shape, such as zeros for the sum of no numbers.
   * Without it, such calls are refused.
   */
  readonly empty?: (shape: Shape) => Tensor;
  /** Whether the new values of an updated input do not depend on its old ones: if those are lost, the op mends it. */
  readonly overwrites?: boolean;
  /** The op in plain loops over arrays by buffer name: what the CPU device runs by default, and the tests' oracle. */
  readonly reference: (
    arrays: { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: NumberArray },
    dims: Dims,
  ) => void;
  /**
   * The fast kernel of the CPU device: the name of one whose parameters are buffers, axes and attributes of the op, or
   * the kernel calls that do the op's work, undefined for dims that no kernel fits. Without one the reference runs.
   */
  readonly wasm?: WasmKernel | WasmLowering<S>;
  /** What the registry test runs it on; `[]` where other tests check the op, for example with `checkGradients`. */
  readonly samples: readonly Sample[];
}

/** Kernel calls from the addresses of an op's buffers by name, and its dims; undefined for dims that no kernel fits. */
export type WasmLowering<S extends string> = (
  addresses: { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: number },
  dims: Dims,
) => readonly WasmCall[] | undefined;

/** The lowering of an op; that of a name is one call of the kernel with buffers and dims of the same names. */
export function loweringOf<S extends string>(
  wasm: WasmKernel | WasmLowering<S>,
): NonNullable<Kernel["wasm"]> {
  if (typeof wasm !== "string") return wasm as NonNullable<Kernel["wasm"]>;
  return (addresses, dims) => [{ kernel: wasm, args: { ...dims, ...addresses } } as WasmCall];
}

/** How an op is declared. */
export interface DefineOptions {
  /** Whether it may replace an op of the same name, as in a notebook cell that runs again; by default false. */
  readonly replace?: boolean;
}
