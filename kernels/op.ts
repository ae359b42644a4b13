import { context, currentDevice } from "./core/context.ts";
import type { WasmCall, WasmKernel } from "./devices/cpu/wasm_call.ts";
import type { Dims, Kernel, NumberArray, Tuning, Workgroups } from "./devices/device.ts";
import { type Shape, ShapeError, sizeOf } from "./core/shape.ts";
import {
  bindAxes,
  type InputNames,
  type OutputNames,
  outputShape,
  parseSignature,
  type Port,
} from "./core/signature.ts";
import { allocate } from "./core/storage.ts";
import { Tensor } from "./core/tensor.ts";

/** Settings of an op that are not tensors, with the type they have in the kernel's uniform. */
export type AttributeTypes = Readonly<Record<string, "u32" | "f32">>;
/** Attributes of a call by name. */
export type AttributeValues<A extends AttributeTypes> = { readonly [K in keyof A]: number };

/** Inputs on which the registry test tries an op. Values are normal random numbers unless given. */
export interface Sample {
  /** Shape of each input by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Attributes of the call. */
  readonly attributes?: Readonly<Record<string, number>>;
  /** Values of inputs by name: the bits of u32 inputs, and numbers that an op needs to be in its domain. */
  readonly values?: Readonly<Record<string, ArrayLike<number>>>;
}

/** What an op's gradient may use: its inputs and outputs by name, and `dy`, the gradient of its first output. */
export type Saved<S extends string> =
  & { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: Tensor }
  & { readonly dy: Tensor };

/** Kernel calls from the addresses of an op's buffers by name, and its dims. */
export type WasmLowering<S extends string> = (
  addresses: { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: number },
  dims: Dims,
) => readonly WasmCall[] | undefined;

/** An op in one declaration. */
export interface OpDefinition<S extends string, A extends AttributeTypes> {
  /** Unique among all ops; messages and profiles show it. */
  readonly name: string;
  /** Buffers and axes, `a[M, K], b[K, N] -> y[M, N]`: documentation, shape check, output shape and uniform in one. */
  readonly signature: S;
  /** Settings by name with their type; the caller gives them last, as an object. */
  readonly attributes?: A;
  /** Further axes and kernel settings that follow from those of the call; a shape gives an `S...` axis. */
  readonly derive?: (
    dims: Readonly<Record<string, number>> & AttributeValues<A>,
    shapes: Readonly<Record<string, Shape>>,
  ) => Readonly<Record<string, number | Shape>>;
  /** WGSL with `fn kernel(i: u32)`; buffers and `dims` are declared for it. A function gets the specialised dims. */
  readonly wgsl: string | ((tuning: Tuning, specialised: Dims) => string);
  /**
   * Dims to compile into the shader, where that was measured to pay: each set of values costs a pipeline. A function may
   * add choices that follow from dims and tuning, such as a tile.
   */
  readonly specialise?: readonly string[] | ((dims: Dims, tuning: Tuning) => Dims);
  /** How often `kernel` runs: by default once for every element of the first output. */
  readonly invocations?: (dims: Dims, tuning: Tuning) => number;
  /**
   * Makes the kernel one of workgroups, for the tunings where it gives any: the WGSL is then `fn kernel(group: u32, lane:
   * u32)`, run by all `lanes` of each of `count` groups, with `var<workgroup>` memory and `workgroupBarrier()`. What
   * surrounds a barrier may depend on `group` and `dims`, never on `lane`. Whether there are workgroups, and their lanes,
   * may depend only on the tuning and on what is specialised; 256 lanes and 16 KiB are what every adapter has.
   */
  readonly workgroups?: (dims: Dims, tuning: Tuning) => Workgroups | undefined;
  /** Gradient of each differentiable input, evaluated only if wanted. Without it, gradients stop at the op. */
  readonly backward?: (
    saved: Saved<S>,
    attributes: AttributeValues<A>,
  ) => { readonly [name in InputNames<S>[number]]?: () => Tensor };
  /** The op in plain loops over arrays by buffer name: the CPU device and the tests' oracle. */
  readonly reference: (
    arrays: { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: NumberArray },
    dims: Dims,
  ) => void;
  /**
   * The fast kernel of the CPU device: the name of one whose parameters are buffers, axes and attributes of the op, or
   * the kernel calls that do the op's work, undefined for dims that no kernel fits. Without one the reference runs.
   */
  readonly wasm?: WasmKernel | WasmLowering<S>;
  /** What the tests of ops try it on; `[]` where an op is checked by other means, such as `checkGradients`. */
  readonly samples: readonly Sample[];
}

/** A tensor for each name. */
export type Tensors<Names extends readonly string[]> = { [K in keyof Names]: Tensor };
/** What an op gives: its one output, or all in order. */
export type OpResult<Names extends readonly string[]> = Names extends [string] ? Tensor : Tensors<Names>;
/** Whether an op has no attributes. */
export type NoAttributes<A> = keyof A extends never ? true : string extends keyof A ? true : false;
/** What an op is called with. */
export type OpArguments<S extends string, A extends AttributeTypes> = NoAttributes<A> extends true
  ? Tensors<InputNames<S>>
  : [...Tensors<InputNames<S>>, attributes: AttributeValues<A>];

/** A declared op: call it with tensors in the order of its signature, attributes last. */
export interface Op<S extends string, A extends AttributeTypes = Record<never, never>> {
  /** Runs the op. @throws {ShapeError} if shapes do not fit the signature */
  (...args: OpArguments<S, A>): OpResult<OutputNames<S>>;
  /** As it was declared. */
  readonly definition: OpDefinition<S, A>;
  /** What a device runs. */
  readonly kernel: Kernel;
}

/** Every declared op by name; the registry test walks it. */
export const registry: Map<string, RegisteredOp> = new Map();

/** An op as the registry sees it, whatever its signature. */
export interface RegisteredOp {
  readonly name: string;
  readonly signature: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly samples: readonly Sample[];
  readonly differentiable: boolean;
  readonly kernel: Kernel;
  readonly run: (inputs: readonly Tensor[], attributes: Readonly<Record<string, number>>) => Tensor[];
  /** Dims of a call and shapes of its outputs, without running it. */
  readonly plan: (shapes: readonly Shape[], attributes: Readonly<Record<string, number>>) => CallPlan;
}

interface CallPlan {
  readonly dims: Dims;
  readonly outputs: readonly Shape[];
}

let order = 0;

/** The next number in the order of ops. */
export function nextOrder(): number {
  return order++;
}

/**
 * Declares an op: checks shapes, allocates outputs, runs the kernel on the tensors' device and keeps the history for
 * `gradients`.
 *
 * @throws {Error} if an op of that name is declared already
 */
export function defineOp<const S extends string, const A extends AttributeTypes = Record<never, never>>(
  definition: OpDefinition<S, A>,
): Op<S, A> {
  const { name, backward } = definition;
  if (registry.has(name)) throw new Error(`Cannot declare op ${name}: there is one of that name already`);
  const signature = parseSignature(definition.signature);
  const isInput = (port: Port) => signature.inputs.some((input) => input.name === port.name);
  const fresh = signature.outputs.filter((port) => !isInput(port));
  const updated = new Set(signature.outputs.filter(isInput).map((port) => port.name));
  const { wgsl, wasm, invocations, workgroups, specialise = [] } = definition;
  const first = signature.outputs[0];

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
    invocations: invocations ?? ((dims) => first.axes.reduce((n, axis) => n * lengthOf(axis, dims), 1)),
    workgroups: workgroups ?? (() => undefined),
    ...wasm !== undefined &&
      { wasm: typeof wasm === "string" ? callsOf(wasm) : wasm as NonNullable<Kernel["wasm"]> },
    reference: definition.reference as Kernel["reference"],
  };

  function plan(shapes: readonly Shape[], attributes: Readonly<Record<string, number>>): CallPlan {
    const axes = bindAxes(name, signature, shapes);
    Object.assign(axes.dims, attributes);
    const derived =
      definition.derive?.(axes.dims as Record<string, number> & AttributeValues<A>, axes.shapes) ?? {};
    for (const [key, value] of Object.entries(derived)) {
      if (typeof value === "number") axes.dims[key] = value;
      else {
        axes.shapes[key] = value;
        axes.dims[key] = sizeOf(value);
      }
    }
    return { dims: axes.dims, outputs: fresh.map((port) => outputShape(port, axes)) };
  }

  function run(inputs: readonly Tensor[], attributes: Readonly<Record<string, number>>): Tensor[] {
    signature.inputs.forEach(({ name: port, type }, i) => {
      if (inputs[i]?.type !== type) {
        throw new TypeError(
          `Cannot run ${name}: ${port} is ${inputs[i]} (expected ${type} in ${signature.text})`,
        );
      }
    });
    const { dims, outputs: shapes } = plan(inputs.map((input) => input.shape), attributes);
    const device = inputs[0]?.device ?? currentDevice();
    const outputs = shapes.map((shape, i) =>
      new Tensor(allocate(device, sizeOf(shape)), shape, fresh[i].type, 0, i === 0 ? historyOf() : undefined)
    );
    execute(kernel, [...inputs, ...outputs], dims, device);
    return outputs;

    function historyOf() {
      if (!backward) return undefined;
      return {
        order: nextOrder(),
        op: name,
        inputs,
        backward: (dy: Tensor) => {
          const saved: Record<string, Tensor> = { dy };
          signature.inputs.forEach((port, i) => saved[port.name] = inputs[i]);
          fresh.forEach((port, i) => saved[port.name] = outputs[i]);
          const given = backward(saved as Saved<S>, attributes as AttributeValues<A>) as Record<
            string,
            () => Tensor
          >;
          return signature.inputs.map((port) => given[port.name]);
        },
      };
    }
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

/** One call of a kernel whose parameters are buffers and dims of the op. */
function callsOf(kernel: WasmKernel): NonNullable<Kernel["wasm"]> {
  return (addresses, dims) => [{ kernel, args: { ...dims, ...addresses } } as WasmCall];
}

function lengthOf(axis: string, dims: Dims): number {
  return /^\d+$/.test(axis) ? Number(axis) : dims[axis.endsWith("...") ? axis.slice(0, -3) : axis];
}

/** Runs a kernel now, or notes it in the step that is being recorded. */
function execute(kernel: Kernel, tensors: readonly Tensor[], dims: Dims, device: Tensor["device"]): void {
  const stray = tensors.find((tensor) => tensor.device !== device);
  if (stray) {
    throw new Error(
      `Cannot run ${kernel.name}: ${stray} lives on ${stray.device.kind}, the others on ${
        stray.device.kind === device.kind ? "another " : ""
      }${device.kind}; each init() opens a device of its own: make all tensors on one, after the last init() ` +
        "or in withDevice()",
    );
  }
  if (context.recording) {
    context.recording.add({
      kernel,
      tensors: tensors.map(({ storage, offset, size }) => ({ storage, offset, size })),
      dims,
    });
    return;
  }
  const ranges = tensors.map(({ storage, offset, size }) => storage.range(offset, size));
  const large = ranges.findIndex(({ length }) => length * 4 > device.maxRangeBytes);
  if (large >= 0) {
    throw new ShapeError(
      `Cannot run ${kernel.name}: ${kernel.ports[large].name} ${tensors[large]} is larger than the ` +
        `${device.maxRangeBytes} bytes that a kernel can bind on this device; use a smaller batch`,
    );
  }
  device.run({ kernel, ranges, dims });
}
