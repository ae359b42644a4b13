import { refuse } from "./core/checks.ts";
import { checkSaved, type History, makeHistory, Tensor } from "./core/tensor.ts";
import {
  attributeCheck,
  type AttributeTypes,
  type AttributeValues,
  type CallPlan,
  type DefineOptions,
  loweringOf,
  type OpDefinition,
  type Sample,
  type Saved,
  type Values,
} from "./op_definition.ts";
import { currentDevice, withDevice } from "./core/context.ts";
import {
  bindAxes,
  type InputNames,
  type OutputNames,
  outputShape,
  parseSignature,
  type Port,
  type Shape,
  ShapeError,
  showInputs,
  showShape,
  sizeOf,
} from "./core/shape.ts";
import { allocate, type MemoryRange, overlap, owners, Storage } from "./core/memory.ts";
import type { Dims, Kernel } from "./devices/device.ts";

/** A tensor for each name. */
export type Tensors<Names extends readonly string[]> = { [K in keyof Names]: Tensor };
/** What an op returns: its only output, or all outputs in order. */
export type OpResult<Names extends readonly string[]> = Names extends [string] ? Tensor : Tensors<Names>;
/** Arguments of an op: its tensors and, if it has any, attributes. */
export type OpArguments<S extends string, A extends AttributeTypes> = keyof A extends never
  ? Tensors<InputNames<S>>
  : string extends keyof A ? Tensors<InputNames<S>>
  : [...Tensors<InputNames<S>>, attributes: AttributeValues<A>];

/** A declared op: a function of tensors in the order of its signature, and of attributes if it has any. */
export interface Op<S extends string, A extends AttributeTypes = Record<never, never>> {
  /**
   * Runs the op.
   *
   * @returns its new output, or all in order, without inputs that it updates in place
   */
  (...args: OpArguments<S, A>): OpResult<OutputNames<S>>;
  /** Its declaration. */
  readonly definition: OpDefinition<S, A>;
  /** The kernel that devices run. */
  readonly kernel: Kernel;
  /**
   * Dims and output shapes of a call, without running it.
   *
   * @param shapes shapes of the inputs, in order
   * @param attributes by name; `{}` for an op without any
   */
  readonly plan: (shapes: readonly Shape[], attributes: Readonly<Record<string, number>>) => CallPlan;
}

/** Every declared op by name; the registry test walks it. */
export const registry: Map<string, RegisteredOp> = new Map();

/** A registered op with any signature. */
export interface RegisteredOp extends Pick<Op<string>, "kernel" | "plan"> {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly samples: readonly Sample[];
  readonly differentiable: boolean;
  readonly run: (inputs: readonly Tensor[], attributes: Readonly<Record<string, number>>) => Tensor[];
}

/**
 * Declares an op. A call checks shapes, allocates outputs, runs the kernel on the tensors' device and keeps the history
 * for `gradients`. A kernel that does not compile fails its device: everything that follows says so, until `init()` opens
 * another.
 *
 * A signature such as `a[M, K], b[K, N] -> y[M, N]` lists the buffers of inputs and outputs, each a name and its axes:
 *
 * - A named axis has the same length everywhere, `2` has length 2, and `x[]` is a single number.
 * - `S...` stands for zero or more axes; a buffer has at most one.
 * - `index:u32[n]` holds u32; all others are f32.
 * - An output with the name of an input updates it in place, with the same axes and type.
 * - An axis of an output is one of an input, an attribute, or computed by `derive`.
 *
 * @example
 * ```ts
 * import { defineOp, init, multiply, square, tensor } from "./mod.ts";
 *
 * await init({ device: "cpu" });
 * const cube = defineOp({
 *   name: "cube",
 *   signature: "x[S...] -> y[S...]",
 *   wgsl: "fn kernel(i: u32) { y[i] = x[i] * x[i] * x[i]; }",
 *   backward: ({ x, dy }) => ({ x: () => multiply(dy, multiply(square(x), 3)) }),
 *   reference({ x, y }) {
 *     for (let i = 0; i < y.length; i++) y[i] = x[i] ** 3;
 *   },
 *   samples: [{ shapes: { x: [3, 5] } }],
 * });
 * console.log(await cube(tensor([1, 2, 3])).read()); // [1, 8, 27]
 * ```
 *
 * @param definition the op; see `OpDefinition`
 * @param options whether it may replace an op of the same name; functions that hold the replaced op still run it
 * @returns a function of its tensors and, if it has any, attributes
 */
export function defineOp<const S extends string, const A extends AttributeTypes = Record<never, never>>(
  definition: OpDefinition<S, A>,
  { replace = false }: DefineOptions = {},
): Op<S, A> {
  const { name, backward, forward, composite } = definition;
  if (registry.has(name) && !replace) {
    const advice = "choose another name, or replace it with defineOp(definition, { replace: true })";
    refuse(Error, `declare op ${name}: an op of that name exists; ${advice}`);
  }
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
      ...signature.inputs.map((port) => {
        const writable = updated.has(port.name);
        return { ...port, writable, reads: !(writable && definition.overwrites) };
      }),
      ...fresh.map((port) => ({ ...port, writable: true, reads: false })),
    ],
    floats: new Set(
      Object.entries(definition.attributes ?? {}).filter(([, t]) => t === "f32").map(([key]) => key),
    ),
    candidates: definition.candidates,
    specialise: typeof specialise === "function"
      ? specialise
      : (dims) => Object.fromEntries(specialise.map((key) => [key, dims[key]])),
    wgsl: typeof wgsl === "string" ? () => wgsl : wgsl,
    vectors: definition.vectors,
    invocations: invocations ??
      ((dims) => first.axes.reduce((n, { name, length }) => n * (length ?? dims[name]), 1)),
    workgroups: workgroups ?? (() => undefined),
    passes: definition.passes,
    wasm: wasm && loweringOf(wasm),
    multiplyAdds: definition.multiplyAdds,
    reference: definition.reference as Kernel["reference"],
  };

  function plan(shapes: readonly Shape[], attributes: Readonly<Record<string, number>>): CallPlan {
    const axes = bindAxes(name, signature, shapes);
    const hasEmptyInput = shapes.some((shape) => shape.includes(0));
    checkAttributes(attributes, axes.dims);
    const derived =
      definition.derive?.(axes.dims as Record<string, number> & AttributeValues<A>, axes.shapes) ?? {};
    for (const [key, value] of Object.entries(derived)) {
      if (typeof value === "number") {
        checkDerived(key, value, axes.dims[key], shapes);
        axes.dims[key] = value;
      } else {
        axes.shapes[key] = value;
        axes.dims[key] = sizeOf(value);
      }
    }
    const outputs = fresh.map((port) => outputShape(port, axes));
    outputs.forEach((shape, i) => {
      if (shape.every((length) => Number.isInteger(length) && length >= 0)) return;
      const made = showShape(shape, fresh[i].type);
      const inputs = showInputs(signature, shapes);
      refuse(ShapeError, `run ${name}: ${fresh[i].name} would be ${made} for ${inputs}`, signature.text);
    });
    return { dims: axes.dims, outputs, hasEmptyInput };
  }

  /** Checks input axes whose length the op derives, such as those of a residual that is added to the result. */
  function checkDerived(
    axis: string,
    length: number,
    bound: number | undefined,
    shapes: readonly Shape[],
  ): void {
    const at = signature.inputs.findIndex(({ axes }) => axes.some(({ name }) => name === axis));
    if (bound === undefined || bound === length || at < 0) return;
    const { name: port, type } = signature.inputs[at];
    const found = `${axis} is ${bound} in ${port} ${showShape(shapes[at], type)}`;
    refuse(ShapeError, `run ${name}: ${found}`, `${length} in ${signature.text}`);
  }

  function run(inputs: readonly Tensor[], attributes: Readonly<Record<string, number>>): Tensor[] {
    signature.inputs.forEach(({ name: port, type }, i) => {
      if (inputs[i]?.type !== type) {
        refuse(TypeError, `run ${name}: ${port} is ${inputs[i]}`, `${type} in ${signature.text}`);
      }
    });
    const { dims, outputs: shapes, hasEmptyInput } = plan(inputs.map((input) => input.shape), attributes);
    checkSaved(inputs);
    const device = inputs[0]?.device ?? currentDevice();
    const written = updated.size === 0 ? [] : inputs.filter((_, i) => updated.has(inputNames[i]));
    const isSymbolic = inputs.some(({ storage }) => storage.isSymbolic);
    if (isSymbolic && written.length > 0) {
      refuse(Error, `push tangents through a gradient rule that calls ${name}: it updates ${written[0]}`);
    }
    const nothingToDo = shapes.every((shape) => sizeOf(shape) === 0) &&
      written.every(({ size }) => size === 0);
    const fixed = hasEmptyInput && !nothingToDo ? resultForEmptyInput(inputs, shapes[0]) : undefined;
    const outputs: Tensor[] = [];
    shapes.forEach((shape, i) => {
      const storage = fixed?.storage ??
        (isSymbolic ? Storage.symbolic(device, sizeOf(shape)) : allocate(device, sizeOf(shape)));
      const history = historyOf(i, inputs, outputs, attributes);
      outputs.push(new Tensor(storage, shape, fresh[i].type, fixed?.offset, history));
    });
    if (!nothingToDo && !fixed && !isSymbolic) {
      const tensors = [...inputs, ...outputs];
      if (written.length > 0) checkSharing(kernel, tensors);
      execute(kernel, tensors, dims, device);
    }
    noteWrites(name, written);
    return outputs;
  }

  function resultForEmptyInput(inputs: readonly Tensor[], shape: Shape): Tensor {
    const { empty } = definition;
    if (empty) return withDevice(inputs[0].device, () => empty(shape));
    const at = inputs.findIndex(({ size }) => size === 0);
    refuse(ShapeError, `run ${name}: ${inputNames[at]} ${inputs[at]} is empty`, "at least one element");
  }

  /**
   * The history of an output computed from f32 inputs. Only the first output has rules; u32 inputs have no derivative.
   */
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
        if (backward && at === 0) {
          const all = { ...saved, [`d${fresh[at].name}`]: dy };
          return backward(all as Saved<S>, attributes as AttributeValues<A>);
        }
        return {};
      },
      forward: forward && at === 0
        ? (saved, tangents) =>
          forward(saved as Values<S>, tangents as Partial<Values<S>>, attributes as AttributeValues<A>)
        : undefined,
      composite: composite &&
        ((named) => composite(named as Values<S>, attributes as AttributeValues<A>)[at]),
    });
  }

  registry.set(name, {
    name,
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
  Object.defineProperty(call, "name", { value: name });
  return Object.assign(call, { definition, kernel, plan }) as unknown as Op<S, A>;
}

/** Notes that an op overwrites tensors: for good if it runs now, else for as long as the step is being traced. */
function noteWrites(op: string, tensors: readonly Tensor[]): void {
  const { recording } = owners;
  for (const { storage, offset, size } of tensors) {
    if (recording) recording.noteWrite(storage, offset, size, op);
    else storage.noteWrite(offset, size, op);
  }
}

/** Runs a kernel now, or adds it to the step being recorded. */
export function execute(
  kernel: Kernel,
  tensors: readonly Tensor[],
  dims: Dims,
  device: Tensor["device"],
): void {
  tensors.forEach((tensor, i) => {
    if (tensor.device !== device) refuseStray(kernel, tensor, device);
    if (tensor.offset % device.offsetAlignment !== 0) {
      const why = `${kernel.ports[i].name} ${tensor} starts at element ${tensor.offset} of its memory`;
      const expected =
        `a multiple of ${device.offsetAlignment} on ${device.kind}; slice() copies a part of a tensor`;
      refuse(Error, `run ${kernel.name}: ${why}`, expected);
    }
  });
  if (owners.recording) {
    owners.recording.calls.push({
      kernel,
      tensors: tensors.map(({ storage, offset, size }) => ({ storage, offset, size })),
      dims,
    });
  } else {
    const ranges = tensors.map(({ storage, offset, size }) => storage.range(offset, size));
    const large = ranges.findIndex(({ length }) => length * 4 > device.maxRangeBytes);
    if (large >= 0) {
      const expected = `at most ${device.maxRangeBytes} bytes; use a smaller batch`;
      const value = `${kernel.ports[large].name} ${tensors[large]}`;
      refuse(ShapeError, `run ${kernel.name}: ${value} is too large`, expected);
    }
    device.run({ kernel, ranges, dims });
  }
}

function refuseStray({ name }: Kernel, tensor: Tensor, { kind }: Tensor["device"]): never {
  const elsewhere = tensor.device.kind === kind ? `another ${kind}` : kind;
  const where = `${tensor} lives on ${tensor.device.kind}, the others on ${elsewhere}`;
  const advice = "make all tensors on one, after the last init() or in withDevice()";
  refuse(Error, `run ${name}: ${where}; each init() opens a device of its own: ${advice}`);
}

/**
 * Refuses on every device what would make a WebGPU device fail: a kernel may not overwrite a buffer that it also reads,
 * not even in another part, nor overwrite the same elements through two tensors.
 */
function checkSharing({ name, ports }: Kernel, tensors: readonly MemoryRange[]): void {
  tensors.forEach((a, i) => {
    if (!ports[i].writable) return;
    tensors.forEach((b, j) => {
      if (i === j || a.storage !== b.storage) return;
      if (ports[j].writable && !overlap(a, b)) return;
      const [one, other] = [ports[i].name, ports[j].name];
      const why = `${one}, which it overwrites, and ${other} share memory, which WebGPU does not allow`;
      refuse(Error, `run ${name}: ${why}; copy one of them first, for example with add(x, 0)`);
    });
  });
}
