import { makeHistory } from "./autograd/history.ts";
import { checkSaved } from "./autograd/rule.ts";
import type { CheckedSignature } from "./core/checked_signature.ts";
import { attributeCheck, type AttributeTypes, type AttributeValues } from "./core/attributes.ts";
import { currentDevice, withDevice } from "./core/context.ts";
import { execute, noteWrites } from "./core/execute.ts";
import { parseSignature } from "./core/parse_signature.ts";
import { type Shape, ShapeError, showShape, sizeOf } from "./core/shape.ts";
import { bindAxes, type InputNames, type OutputNames, outputShape, type Port } from "./core/signature.ts";
import { allocate } from "./core/storage.ts";
import { type History, Tensor } from "./core/tensor.ts";
import type { WasmKernel } from "./devices/cpu/wasm_call.ts";
import { loweringOf, type WasmLowering } from "./devices/cpu/wasm_lowering.ts";
import type { Dims, Kernel, NumberArray, Tuning, Workgroups } from "./devices/device.ts";

export type { AttributeTypes, AttributeValues } from "./core/attributes.ts";

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

/** First of a list of names. */
export type FirstName<Names extends readonly string[]> = Names extends
  readonly [infer Name extends string, ...unknown[]] ? Name : never;

/**
 * What an op's gradient may use: its inputs and outputs by name, and the gradient of its first output, whose name is the
 * output's after a `d`: `dy` for an output `y`.
 */
export type Saved<S extends string> = {
  readonly [name in InputNames<S>[number] | OutputNames<S>[number] | `d${FirstName<OutputNames<S>>}`]: Tensor;
};

/** An op in one declaration. */
export interface OpDefinition<S extends string, A extends AttributeTypes> {
  /** Unique among all ops; messages and profiles show it. */
  readonly name: string;
  /** Buffers and axes, `a[M, K], b[K, N] -> y[M, N]`: documents, checks shapes, gives output shapes and uniforms. */
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
   * Dims to compile into the shader, where measurements show that it pays: each set of values costs a pipeline. A function
   * may add choices that follow from dims and tuning, such as a tile.
   */
  readonly specialise?: readonly string[] | ((dims: Dims, tuning: Tuning) => Dims);
  /** How often `kernel` runs: by default, once for each element of the first output. */
  readonly invocations?: (dims: Dims, tuning: Tuning) => number;
  /**
   * Runs the kernel in workgroups where it returns any: the WGSL then defines `fn kernel(group: u32, lane: u32)`, which all
   * `lanes` of each of `count` groups run, with `var<workgroup>` memory and `workgroupBarrier()`. Control flow around a
   * barrier may depend on `group` and `dims`, never on `lane`. Whether there are workgroups, and how many lanes they have,
   * may depend only on the tuning and on specialised dims; every adapter has 256 lanes and 16 KiB.
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

/** A tensor for each name. */
export type Tensors<Names extends readonly string[]> = { [K in keyof Names]: Tensor };
/** What an op returns: its only output, or all outputs in order. */
export type OpResult<Names extends readonly string[]> = Names extends [string] ? Tensor : Tensors<Names>;
/** Whether an op has no attributes. */
export type NoAttributes<A> = keyof A extends never ? true : string extends keyof A ? true : false;
/** Arguments of an op. */
export type OpArguments<S extends string, A extends AttributeTypes> = NoAttributes<A> extends true
  ? Tensors<InputNames<S>>
  : [...Tensors<InputNames<S>>, attributes: AttributeValues<A>];

/** A declared op: a function of tensors in the order of its signature, and of attributes if it has any. */
export interface Op<S extends string, A extends AttributeTypes = Record<never, never>> {
  /**
   * Runs the op.
   *
   * @throws {ShapeError} if shapes do not fit the signature
   * @throws {TypeError} if tensors or attributes are missing, unknown or of another type
   */
  (...args: OpArguments<S, A>): OpResult<OutputNames<S>>;
  /** As it was declared. */
  readonly definition: OpDefinition<S, A>;
  /** What a device runs. */
  readonly kernel: Kernel;
}

/** Every declared op by name; the registry test walks it. */
export const registry: Map<string, RegisteredOp> = new Map();

/** An op as the registry holds it, whatever its signature. */
export interface RegisteredOp {
  readonly name: string;
  readonly signature: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly samples: readonly Sample[];
  readonly differentiable: boolean;
  readonly kernel: Kernel;
  readonly run: (inputs: readonly Tensor[], attributes: Readonly<Record<string, number>>) => Tensor[];
  /** Dims and output shapes of a call, without running it. */
  readonly plan: (shapes: readonly Shape[], attributes: Readonly<Record<string, number>>) => CallPlan;
}

interface CallPlan {
  readonly dims: Dims;
  readonly outputs: readonly Shape[];
  readonly hasEmptyInput: boolean;
}

/**
 * Declares an op. A call checks shapes, allocates outputs, runs the kernel on the tensors' device and keeps the history for
 * `gradients`.
 *
 * @throws {Error} if an op of that name exists
 * @throws {TypeError} if the signature is malformed
 */
export function defineOp<const S extends string, const A extends AttributeTypes = Record<never, never>>(
  definition: OpDefinition<S, A>,
): Op<S, A> {
  const { name, backward } = definition;
  if (registry.has(name)) throw new Error(`Cannot declare op ${name}: an op of that name exists`);
  const signature = parseSignature(definition);
  const isInput = (port: Port) => signature.inputs.some((input) => input.name === port.name);
  const fresh = signature.outputs.filter((port) => !isInput(port));
  const updated = new Set(signature.outputs.filter(isInput).map((port) => port.name));
  const { wgsl, wasm, invocations, workgroups, specialise = [] } = definition;
  const first = signature.outputs[0];
  const checkAttributes = attributeCheck(name, definition.attributes ?? {});
  const inputNames = signature.inputs.map((port) => port.name);
  const takesNumbers = signature.inputs.some(({ type }) => type === "f32");

  const kernel: Kernel = {
    name,
    ports: [
      ...signature.inputs.map((port) => ({ ...port, writable: updated.has(port.name) })),
      ...fresh.map((port) => ({ ...port, writable: true })),
    ],
    floats: new Set(
      Object.entries(definition.attributes ?? {}).filter(([, t]) => t === "f32").map(([key]) => key),
    ),
    specialise: typeof specialise === "function"
      ? specialise
      : (dims) => Object.fromEntries(specialise.map((key) => [key, dims[key]])),
    wgsl: typeof wgsl === "string" ? () => wgsl : wgsl,
    invocations: invocations ??
      ((dims) => first.axes.reduce((n, { name, length }) => n * (length ?? dims[name]), 1)),
    workgroups: workgroups ?? (() => undefined),
    ...wasm !== undefined && { wasm: loweringOf(wasm) },
    reference: definition.reference as Kernel["reference"],
  };

  function plan(shapes: readonly Shape[], attributes: Readonly<Record<string, number>>): CallPlan {
    const axes = bindAxes(name, signature, shapes);
    const hasEmptyInput = shapes.some((shape) => shape.includes(0));
    checkAttributes(attributes, axes.dims);
    const derived =
      definition.derive?.(axes.dims as Record<string, number> & AttributeValues<A>, axes.shapes) ?? {};
    for (const [key, value] of Object.entries(derived)) {
      if (typeof value === "number") axes.dims[key] = value;
      else {
        axes.shapes[key] = value;
        axes.dims[key] = sizeOf(value);
      }
    }
    const outputs = fresh.map((port) => outputShape(port, axes));
    outputs.forEach((shape, i) => {
      if (shape.every((length) => Number.isInteger(length) && length >= 0)) return;
      const given = signature.inputs.map((port, k) => `${port.name} ${showShape(shapes[k], port.type)}`);
      throw new ShapeError(
        `Cannot run ${name}: ${fresh[i].name} would be ${showShape(shape, fresh[i].type)} for ${
          given.join(", ")
        } (expected ${signature.text})`,
      );
    });
    return { dims: axes.dims, outputs, hasEmptyInput };
  }

  function run(inputs: readonly Tensor[], attributes: Readonly<Record<string, number>>): Tensor[] {
    signature.inputs.forEach(({ name: port, type }, i) => {
      if (inputs[i]?.type !== type) {
        throw new TypeError(
          `Cannot run ${name}: ${port} is ${inputs[i]} (expected ${type} in ${signature.text})`,
        );
      }
    });
    const { dims, outputs: shapes, hasEmptyInput } = plan(inputs.map((input) => input.shape), attributes);
    checkSaved(inputs);
    const device = inputs[0]?.device ?? currentDevice();
    const written = updated.size === 0 ? [] : inputs.filter((_, i) => updated.has(inputNames[i]));
    const nothingToDo = shapes.every((shape) => sizeOf(shape) === 0) &&
      written.every(({ size }) => size === 0);
    const fixed = hasEmptyInput && !nothingToDo ? resultForEmptyInput(inputs, shapes[0]) : undefined;
    const outputs: Tensor[] = [];
    shapes.forEach((shape, i) => {
      const storage = fixed?.storage ?? allocate(device, sizeOf(shape));
      const history = historyOf(i, inputs, outputs, attributes);
      outputs.push(new Tensor(storage, shape, fresh[i].type, fixed?.offset, history));
    });
    if (!nothingToDo && !fixed) execute(kernel, [...inputs, ...outputs], dims, device);
    noteWrites(name, written);
    return outputs;
  }

  /** The result where an input is empty. */
  function resultForEmptyInput(inputs: readonly Tensor[], shape: Shape): Tensor {
    const { empty } = definition;
    if (empty) return withDevice(inputs[0].device, () => empty(shape));
    const at = inputs.findIndex(({ size }) => size === 0);
    throw new ShapeError(
      `Cannot run ${name}: ${inputNames[at]} ${inputs[at]} is empty (expected at least one element)`,
    );
  }

  /** How an output is computed from f32 inputs; only the first output has rules. Whole numbers have no derivative. */
  function historyOf(
    at: number,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    attributes: Readonly<Record<string, number>>,
  ): History | undefined {
    if (!takesNumbers || fresh[at].type === "u32") return undefined;
    return makeHistory({
      op: name,
      output: fresh[at].name,
      names: inputNames,
      inputs,
      outputs: () => outputs.map((output, i) => [fresh[i].name, output]),
      rules(saved, dy) {
        if (!backward || at > 0) return {};
        const all = { ...saved, [`d${fresh[at].name}`]: dy };
        return backward(all as Saved<S>, attributes as AttributeValues<A>);
      },
    });
  }

  registry.set(name, {
    name,
    signature: signature.text,
    inputs: signature.inputs,
    outputs: signature.outputs,
    samples: definition.samples,
    differentiable: backward !== undefined,
    kernel,
    run,
    plan,
  });

  const call = (...args: unknown[]) => {
    const count = signature.inputs.length;
    const outputs = run(args.slice(0, count) as Tensor[], (args[count] ?? {}) as Record<string, number>);
    return outputs.length === 1 ? outputs[0] : outputs;
  };
  return Object.assign(call, { definition, kernel }) as unknown as Op<S, A>;
}
