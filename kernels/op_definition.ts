import { describeValue, isCount, refuse } from "./core/checks.ts";
import { type InputNames, type OutputNames, type Shape, sizeOf } from "./core/shape.ts";
import type { GradientRule, Tensor } from "./core/tensor.ts";
import type { Dims, Kernel, NumberArray, Pass, PassBuffer, Tuning, Workgroups } from "./devices/device.ts";
import type { WasmCall, WasmKernel } from "./devices/cpu/wasm_call.ts";

/** Settings of an op that are not tensors, with their types in the kernel's uniform. */
export type AttributeTypes = Readonly<Record<string, "u32" | "f32">>;
/** Attributes of a call by name. */
export type AttributeValues<A extends AttributeTypes> = { readonly [K in keyof A]: number };

/** Copies the attributes of a call to its dims, in the order of their declaration. */
type AttributeCheck = (attributes: Readonly<Record<string, unknown>>, dims: Record<string, number>) => void;

/**
 * Makes the function that checks an op's attributes.
 *
 * @returns a function that throws a TypeError if an attribute is missing, unknown or not of its type
 */
export function attributeCheck(op: string, types: AttributeTypes): AttributeCheck {
  const declared = Object.entries(types);
  return (attributes, dims) => {
    for (const name in attributes) if (!Object.hasOwn(types, name)) fail(`unknown attribute ${name}`);
    for (const [name, type] of declared) {
      const value = attributes[name];
      if (typeof value !== "number" || (type === "u32" && !isCount(value))) {
        fail(`attribute ${name} is ${describeValue(value)}`);
      }
      dims[name] = value;
    }
  };

  function fail(why: string): never {
    const expected = declared.map(([name, type]) => `${name}: ${type}`).join(", ") || "none";
    refuse(TypeError, `run ${op}: ${why}`, `attributes: ${expected}`);
  }
}

/** Inputs that the registry test runs an op on. Values are random in [-2, 2) unless given. */
export interface Sample {
  /** Shape of each input by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Attributes of the call. */
  readonly attributes?: Readonly<Record<string, number>>;
  /** Values of inputs by name: required for u32 inputs, and for f32 inputs that must lie in the op's domain. */
  readonly values?: Readonly<Record<string, ArrayLike<number>>>;
  /** `false` at a kink, such as a tie of a maximum, where finite differences give no gradient. */
  readonly smooth?: boolean;
}

/** The op's inputs and outputs by name. */
export type Values<S extends string> = {
  readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: Tensor;
};

/** What a gradient rule may use: inputs, outputs, and the gradient of the first output, `dy` for `y`. */
export type Saved<S extends string> =
  & Values<S>
  & {
    readonly [
      name in OutputNames<S> extends readonly [infer First extends string, ...unknown[]] ? `d${First}` : never
    ]: Tensor;
  };

/** An op in one declaration. */
export interface OpDefinition<S extends string, A extends AttributeTypes>
  extends Pick<Kernel, "candidates" | "vectors" | "passes" | "multiplyAdds"> {
  /** Unique among all ops; messages and profiles show it. */
  readonly name: string;
  /** Buffers and axes, `a[M, K], b[K, N] -> y[M, N]`: gives checks, output shapes and uniforms; see `defineOp`. */
  readonly signature: S;
  /** Settings by name with their type; the caller gives them last, as an object. */
  readonly attributes?: A;
  /**
   * Further axes and settings of the kernel, computed from those of the call; a shape is the value of an `S...` axis.
   */
  readonly derive?: (
    dims: Readonly<Record<string, number>> & AttributeValues<A>,
    shapes: Readonly<Record<string, Shape>>,
  ) => Readonly<Record<string, number | Shape>>;
  /** WGSL that defines `fn kernel(i: u32)`; buffers and `dims` are in scope. A function gets the specialised dims. */
  readonly wgsl: string | ((tuning: Tuning, specialised: Dims) => string);
  /**
   * Dims to compile into the shader. Use it only for a measured gain: each set of values costs a pipeline. A function
   * may add choices that follow from dims and tuning, such as a tile.
   */
  readonly specialise?: readonly string[] | ((dims: Dims, tuning: Tuning) => Dims);
  /** How often `kernel` runs: by default, once for each element of the first output. */
  readonly invocations?: (dims: Dims, tuning: Tuning) => number;
  /**
   * Workgroups to run the kernel in, if any: the WGSL then defines `fn kernel(group: u32, lane: u32)`, which runs in
   * all `lanes` of each of `count` groups and may use `var<workgroup>` memory and `workgroupBarrier()`. Control flow
   * around a barrier may depend on `group` and `dims`, never on `lane`. Whether there are workgroups, and how many
   * lanes they have, may depend only on the tuning and on specialised dims; every adapter allows 256 lanes and 16 KiB.
   */
  readonly workgroups?: (dims: Dims, tuning: Tuning) => Workgroups | undefined;
  /**
   * A rule for each differentiable input that computes its gradient, of its shape, with differentiable ops, so that
   * second derivatives work. It runs only if the gradient is needed. A rule with a parameter gets the gradient so far,
   * or undefined, and adds to it. Taking a gradient through an input without a rule is an error.
   */
  readonly backward?: (
    saved: Saved<S>,
    attributes: AttributeValues<A>,
  ) => { readonly [name in InputNames<S>[number]]?: GradientRule };
  /**
   * The tangent of the first output, given those of inputs, at least one. Declare it only where it is faster than what
   * follows from `backward` or `composite` without it; the registry test compares both with the reference.
   */
  readonly forward?: (
    values: Values<S>,
    tangents: { readonly [name in InputNames<S>[number]]?: Tensor },
    attributes: AttributeValues<A>,
  ) => Tensor;
  /**
   * New outputs by other differentiable ops, slower but with derivatives of any order: used for derivatives that the op
   * has no rule for. Outputs left out at the end have no derivatives.
   */
  readonly composite?: (
    inputs: { readonly [name in InputNames<S>[number]]: Tensor },
    attributes: AttributeValues<A>,
  ) => readonly Tensor[];
  /**
   * The result, given its shape, if an input is empty but the result is not, such as zeros for the sum of no numbers.
   * Without it, such calls are an error.
   */
  readonly empty?: (shape: Shape) => Tensor;
  /** Whether updated inputs are only written, not read; the op then also restores an input whose values were lost. */
  readonly overwrites?: boolean;
  /** The op in plain loops over arrays by buffer name: what the CPU device runs by default, and the tests' oracle. */
  readonly reference: (
    arrays: { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: NumberArray },
    dims: Dims,
  ) => void;
  /**
   * The fast kernel of the CPU device: the name of a kernel whose parameters are buffers, axes and attributes of the
   * op, or a function that returns kernel calls, undefined for dims that no kernel supports. Otherwise the reference
   * runs.
   */
  readonly wasm?: WasmKernel | WasmLowering<S>;
  /** Inputs for the registry test; `[]` if other tests check the op, for example with `checkGradients`. */
  readonly samples: readonly Sample[];
}

/** Makes kernel calls from an op's buffer addresses and dims; undefined for dims that no kernel supports. */
export type WasmLowering<S extends string> = (
  addresses: { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: number },
  dims: Dims,
) => readonly WasmCall[] | undefined;

/** The lowering of an op. A kernel's name stands for one call with buffers and dims of the same names. */
export function loweringOf<S extends string>(
  wasm: WasmKernel | WasmLowering<S>,
): NonNullable<Kernel["wasm"]> {
  if (typeof wasm !== "string") return wasm as NonNullable<Kernel["wasm"]>;
  return (addresses, dims) => [{ kernel: wasm, args: { ...dims, ...addresses } } as WasmCall];
}

/** What is known about a call before it runs. */
export interface CallPlan {
  /** Lengths and attributes by name. */
  readonly dims: Dims;
  /** Shapes of the new outputs; updated inputs are not included. */
  readonly outputs: readonly Shape[];
  /** Whether an input has no element. */
  readonly hasEmptyInput: boolean;
}

/** Options of `defineOp`. */
export interface DefineOptions {
  /** Whether it may replace an op of the same name, as in a notebook cell that runs again; by default false. */
  readonly replace?: boolean;
}

/** One of several ways to run an op on WebGPU. All give the same results, to rounding. */
export interface KernelVariant {
  /** Unique in its op, and stable: stored choices refer to it. */
  readonly name: string;
  /** Dims to compile into its shader. */
  readonly specialise?: (dims: Dims) => Dims;
  /** Whether it can run a call and is worth timing; by default true. */
  readonly fits?: (dims: Dims) => boolean;
  /** Number of invocations, or the workgroups. */
  readonly grid: (dims: Dims) => number | Workgroups;
  /** WGSL that defines `fn kernel`, from the specialised dims. */
  readonly wgsl: (specialised: Dims) => string;
  /** Buffers that the WGSL declares as `array<vec4f>`; their lengths must be multiples of four. */
  readonly vectors?: (specialised: Dims) => readonly string[];
}

/** A way to run an op as calls of other ops; see `Passes`. */
export interface PassesVariant {
  /** Unique in its op, and stable, as in `KernelVariant`. */
  readonly name: string;
  /** Whether it can run a call. */
  readonly fits: (dims: Dims) => boolean;
  /** Whether it runs calls for which nothing was chosen. */
  readonly isDefault: (dims: Dims, tuning: Tuning) => boolean;
  /** The calls of other ops. */
  readonly passes: (dims: Dims, tuning: Tuning) => readonly Pass[];
}

/**
 * Declaration fields of an op that can run in several variants. A call runs in the one chosen for it, else in the table's.
 *
 * @param table index of the variant to use if none was chosen
 * @param other one more way, made of calls of other ops; without memory for them, the table's variant runs
 */
export function withVariants(
  variants: readonly KernelVariant[],
  table: (dims: Dims, tuning: Tuning) => number,
  other?: PassesVariant,
) {
  const fits = (at: number, dims: Dims) => variants[at].fits?.(dims) ?? true;
  const variantOf = (dims: Dims, tuning: Tuning): number => {
    const chosen = tuning.candidate === undefined
      ? -1
      : variants.findIndex(({ name }) => name === tuning.candidate);
    return chosen >= 0 && fits(chosen, dims) ? chosen : table(dims, tuning);
  };
  const gridOf = (dims: Dims, tuning: Tuning) => variants[variantOf(dims, tuning)].grid(dims);
  const passesRun = (dims: Dims, tuning: Tuning): boolean => {
    if (!other?.fits(dims)) return false;
    if (tuning.candidate === other.name) return true;
    const isChosen = variants.some(({ name }, at) => name === tuning.candidate && fits(at, dims));
    return !isChosen && other.isDefault(dims, tuning);
  };
  return {
    candidates(dims: Dims, tuning: Tuning): readonly string[] {
      const first = table(dims, tuning);
      const alternatives = [...variants.keys()].filter((at) => at !== first && fits(at, dims));
      const names = [first, ...alternatives].map((at) => variants[at].name);
      if (!other?.fits(dims)) return names;
      return other.isDefault(dims, tuning) ? [other.name, ...names] : [...names, other.name];
    },
    ...other && {
      passes: (dims: Dims, tuning: Tuning): readonly Pass[] | undefined =>
        passesRun(dims, tuning) ? other.passes(dims, tuning) : undefined,
    },
    specialise(dims: Dims, tuning: Tuning): Dims {
      const variant = variantOf(dims, tuning);
      return { ...variants[variant].specialise?.(dims), variant };
    },
    invocations(dims: Dims, tuning: Tuning): number {
      const grid = gridOf(dims, tuning);
      return typeof grid === "number" ? grid : grid.count * grid.lanes;
    },
    workgroups(dims: Dims, tuning: Tuning): Workgroups | undefined {
      const grid = gridOf(dims, tuning);
      return typeof grid === "number" ? undefined : grid;
    },
    wgsl: (_: Tuning, specialised: Dims): string => variants[specialised.variant].wgsl(specialised),
    vectors: (specialised: Dims): readonly string[] =>
      variants[specialised.variant].vectors?.(specialised) ?? [],
  };
}

/** A buffer and its shape, handed from pass to pass. */
interface PassValue {
  readonly buffer: PassBuffer;
  readonly shape: Shape;
}

interface PlannedOp {
  readonly kernel: Kernel;
  readonly plan: (shapes: readonly Shape[], attributes: Readonly<Record<string, number>>) => CallPlan;
}

/** Collects the calls of other ops that together do the work of one op. */
export class Passes {
  readonly #passes: Pass[] = [];
  readonly #scratches: number[] = [];

  /** The calls. Scratch buffers are numbered from the largest down, so that ops share as much as possible. */
  get list(): readonly Pass[] {
    const order = [...this.#scratches.keys()].sort((a, b) => this.#scratches[b] - this.#scratches[a]);
    const numbered = (buffer: PassBuffer): PassBuffer =>
      typeof buffer === "string" ? buffer : { ...buffer, scratch: order.indexOf(buffer.scratch) };
    return this.#passes.map((pass) => ({ ...pass, buffers: pass.buffers.map(numbered) }));
  }

  /** A buffer of the whole op, by name. */
  buffer(name: string, shape: Shape): PassValue {
    return { buffer: name, shape };
  }

  /**
   * Adds a call of an op. Its first output is written to the buffer `into` of the whole op, if there is one; all other
   * outputs go to scratch memory.
   *
   * @returns the outputs
   */
  add(
    { kernel, plan }: PlannedOp,
    inputs: readonly PassValue[],
    attributes: Readonly<Record<string, number>>,
    into?: string,
  ): readonly PassValue[] {
    const { dims, outputs } = plan(inputs.map((input) => input.shape), attributes);
    const results = outputs.map((shape, i): PassValue => {
      if (i === 0 && into !== undefined) return { buffer: into, shape };
      return { buffer: { scratch: this.#scratches.push(sizeOf(shape)) - 1, elements: sizeOf(shape) }, shape };
    });
    this.#passes.push({ kernel, dims, buffers: [...inputs, ...results].map(({ buffer }) => buffer) });
    return results;
  }
}
