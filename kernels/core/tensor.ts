import { currentDevice } from "./context.ts";
import { describeValue, isCount, refuse, UserError } from "./checks.ts";
import type { Device } from "../devices/device.ts";
import { checkedSizeOf, type DataType, sameShape, type Shape, ShapeError, showShape } from "./shape.ts";
import { allocateNow, nextOrder, overlap, owners, peeks, Scope, type Storage } from "./memory.ts";

/** The method that Deno's Jupyter kernel calls on the last value of a cell to display it. */
export const tensorDisplay: unique symbol = Symbol.for("Jupyter.display");

/** The method that `console.log` calls in Deno and Node. */
export const tensorInspection: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * Computes the gradient of an input. A rule with a parameter gets the gradient so far, or undefined, and adds to it.
 */
export type GradientRule = (before?: Tensor) => Tensor;

/** How a tensor was computed, for reverse-mode differentiation. */
export interface History {
  /** Event number of the op's run: inputs always have smaller numbers than outputs. */
  readonly order: number;
  /** Name of the op. */
  readonly op: string;
  /** Name of the output that this is the history of. */
  readonly output: string;
  /** Names of the inputs. */
  readonly names: readonly string[];
  /** The op's inputs. */
  readonly inputs: readonly Tensor[];
  /** What overwrote an input after it was computed and before the op read it, by the input's index. */
  readonly overwritten?: ReadonlyMap<number, string>;
  /** Gradients of the inputs from that of the output, computed when called; undefined without a rule. */
  readonly backward: (dy: Tensor) => readonly (GradientRule | undefined)[];
  /** The output's tangent from those of the inputs, at least one, if the op declares it. */
  readonly forward?: (tangents: readonly (Tensor | undefined)[]) => Tensor;
  /** The output, recomputed from inputs by other ops, if the op declares them. */
  readonly composite?: (inputs: readonly Tensor[]) => Tensor | undefined;
}

/** An n-dimensional array on a device: f32 numbers, or u32 for bytes, indices and random keys. Row-major. */
export class Tensor {
  /** Number of elements. */
  readonly size: number;
  #storage: Storage;
  #offset: number;
  #history: History | undefined;

  /**
   * A view of memory from element `offset` on; `tensor` and `zeros` allocate new memory. Ops accept views that start at a
   * multiple of the device's `offsetAlignment`.
   */
  constructor(
    storage: Storage,
    readonly shape: Shape,
    readonly type: DataType = "f32",
    offset: number = 0,
    history?: History,
  ) {
    this.size = checkedSizeOf(shape);
    if (!isCount(offset, 0, storage.elements - this.size)) {
      const what = `view ${showShape(shape, type)} from element ${describeValue(offset)} on`;
      refuse(ShapeError, what, `a whole number, and all elements inside memory of ${storage.elements}`);
    }
    this.#storage = storage;
    this.#offset = offset;
    this.#history = history;
  }

  /** The device that holds its memory. */
  get device(): Device {
    return this.#storage.device;
  }

  /** The memory that holds its values. */
  get storage(): Storage {
    return this.#storage;
  }

  /** Index of its first element in the memory. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Makes this tensor share the memory, and so the values, of another one of its size. Steps recorded earlier keep the
   * old memory.
   */
  pointTo({ storage, offset }: Tensor): void {
    this.#storage = storage;
    this.#offset = offset;
  }

  /** How it was computed; undefined for data, parameters, constants and detached tensors. */
  get history(): History | undefined {
    return this.#history;
  }

  /** Forgets how the tensor was computed: gradients end here. */
  detach(): void {
    this.#history = undefined;
  }

  /**
   * Copies the values to the host, after all ops called so far.
   *
   * @throws {DeviceError} if an earlier op failed on the device
   * @throws what a function given to an earlier `peek` threw
   * @throws {UserError} synchronously, inside a step that is being recorded
   */
  read(): Promise<Float32Array<ArrayBuffer>> {
    checkComputed(this);
    return this.#bytes().then((buffer) =>
      this.type === "u32" ? Float32Array.from(new Uint32Array(buffer)) : new Float32Array(buffer)
    );
  }

  /** Copies the raw 32-bit words to the host: exact for u32. @throws as {@linkcode Tensor.read} */
  readWords(): Promise<Uint32Array<ArrayBuffer>> {
    checkComputed(this);
    return this.#bytes().then((buffer) => new Uint32Array(buffer));
  }

  async #bytes(): Promise<ArrayBuffer> {
    const read = async () => await this.device.read(this.storage.range(this.offset, this.size));
    return (await Promise.all([read(), peeks.shown]))[0];
  }

  /**
   * Overwrites the values in place. Taking gradients that need the old values is an error afterwards.
   *
   * @param values a `Uint32Array` for a u32 tensor, else a `Float32Array`: their bits are copied
   */
  write(values: Float32Array | Uint32Array): void {
    const expected = this.type === "u32" ? Uint32Array : Float32Array;
    if (!(values instanceof expected)) {
      const given: unknown = values;
      const type = given?.constructor?.name ?? given;
      refuse(TypeError, `write to a tensor ${this}: the values are of type ${type}`, `a ${expected.name}`);
    }
    if (values.length !== this.size) {
      refuse(ShapeError, `write ${values.length} values to a tensor ${this} of ${this.size}`);
    }
    this.device.write(this.storage.range(this.offset, this.size), values);
    this.storage.noteWrite(this.offset, this.size, "write()");
  }

  /** Type and shape, `f32[2, 3]`. */
  toString(): string {
    return showShape(this.shape, this.type);
  }

  /** What `console.log` prints: type, shape and device, `f32[2, 3] on cpu`. */
  [tensorInspection](): string {
    return describeTensor(this);
  }

  /** What a notebook shows: type, shape and the first values, which are read from the device. */
  [tensorDisplay](): Promise<{ "text/plain": string; "text/html": string }> {
    return showTensor(this);
  }
}

function checkComputed(x: Tensor): void {
  if (!owners.recording?.owns(x.storage)) return;
  const what = `read ${x} inside a network or step that is being recorded: it is computed later`;
  refuse(UserError, what, "read() outside, or peek(x, label), which prints the values of each run");
}

/**
 * A tensor from numbers on the host.
 *
 * @param values numbers, row-major; a `Uint32Array` makes a u32 tensor, all else f32. Nested arrays are refused:
 * flatten them, and give the shape
 * @param shape by default one axis with all values
 * @throws {DeviceError} before `init()`
 */
export function tensor(values: ArrayLike<number>, shape: Shape = [values?.length]): Tensor {
  checkNumbers(values);
  if (checkedSizeOf(shape) !== values.length) {
    refuse(ShapeError, `make a tensor of shape [${shape.join(", ")}] from ${values.length} values`);
  }
  const device = currentDevice();
  const data = values instanceof Uint32Array || values instanceof Float32Array
    ? values
    : Float32Array.from(values);
  const storage = allocateNow(device, data.length);
  device.write(storage.range(0, data.length), data);
  return new Tensor(storage, shape, data instanceof Uint32Array ? "u32" : "f32");
}

function checkNumbers(values: ArrayLike<unknown>): void {
  const isBig = values instanceof BigInt64Array || values instanceof BigUint64Array;
  if (ArrayBuffer.isView(values) && "length" in values && !isBig) return;
  if (!isCount(values?.length) || typeof values === "string") {
    refuse(TypeError, `make a tensor from ${describeValue(values)}`, "a list of numbers");
  }
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === "number") continue;
    const isList = typeof value === "object" && value !== null && "length" in value;
    const shown = isList ? "a list" : typeof value === "string" ? `"${value}"` : `${value}`;
    const advice = isList ? "; flatten nested lists, and give the shape as the second argument" : "";
    refuse(TypeError, `make a tensor: value ${i} is ${shown}`, `a number${advice}`);
  }
}

/**
 * Checks that a user's function returned an f32 tensor, of the given shape if there is one.
 *
 * @param task what needs it, as in `Cannot ${task}`
 * @param subject where it came from, with a verb: `velocity() returned`
 */
export function checkTensor(task: string, subject: string, value: unknown, shape?: Shape): Tensor {
  const expected = shape ? showShape(shape) : "a tensor";
  if (!(value instanceof Tensor)) {
    const isPromise = typeof value === "object" && value !== null && "then" in value;
    const hint = isPromise ? " from a synchronous function" : "";
    refuse(TypeError, `${task}: ${subject} ${describeValue(value)}`, `${expected}${hint}`);
  }
  if (!shape || (value.type === "f32" && sameShape(value.shape, shape))) return value;
  refuse(ShapeError, `${task}: ${subject} ${value}`, expected);
}

/** Type, shape and device, `f32[2, 3] on cpu`. */
function describeTensor(tensor: Tensor): string {
  return `${tensor} on ${tensor.device.kind}`;
}

const [maxRows, maxColumns] = [6, 8];

/** What a notebook shows: type, shape, device and the corner of the first matrix. Only the corner is read. */
async function showTensor(tensor: Tensor): Promise<{ "text/plain": string; "text/html": string }> {
  const [rows, columns] = [tensor.shape.at(-2) ?? 1, tensor.shape.at(-1) ?? 1];
  const corner = tensor.size === 0 ? [] : await Promise.all(
    Array.from(
      { length: Math.min(rows, maxRows) },
      (_, row) => valuesOf(tensor, row * columns, Math.min(columns, maxColumns)),
    ),
  );
  const lines = corner.map((values) => [
    ...Array.from(values, (value) => tensor.type === "u32" ? `${value}` : `${Number(value.toPrecision(4))}`),
    ...(columns > maxColumns ? ["…"] : []),
  ]);
  if (rows > maxRows) lines.push(Array.from(lines[0] ?? [], () => "…"));
  const title = describeTensor(tensor) + partOf(tensor);
  const width = Math.max(...lines.flat().map(({ length }) => length));
  const cells = lines.map((line) => `<tr>${line.map((value) => `<td>${value}</td>`).join("")}</tr>`);
  return {
    "text/plain": [title, ...lines.map((line) => line.map((value) => value.padStart(width)).join(" "))].join(
      "\n",
    ),
    "text/html": `<table><caption>${title}</caption>${cells.join("")}</table>`,
  };
}

async function valuesOf({ device, storage, offset, type }: Tensor, start: number, length: number) {
  const buffer = await device.read(storage.range(offset + start, length));
  return type === "u32" ? new Uint32Array(buffer) : new Float32Array(buffer);
}

/** The index of the matrix that is shown, for a tensor with more than two axes. */
function partOf({ shape }: Tensor): string {
  return shape.length > 2
    ? `, showing [${shape.map((_, axis) => axis < shape.length - 2 ? "0" : ":").join(", ")}]`
    : "";
}

/** The same values without a history: derivatives end here. */
export function withoutHistory({ storage, shape, type, offset }: Tensor): Tensor {
  return new Tensor(storage, shape, type, offset);
}

type Rules = Readonly<Record<string, GradientRule | undefined>>;
type Saved = Readonly<Record<string, Tensor>>;

interface Call extends Pick<History, "op" | "output" | "names" | "inputs"> {
  /** Outputs that the rules may read, by name. */
  readonly outputs?: () => readonly (readonly [string, Tensor])[];
  /** Gradients of the inputs from that of the output, by differentiable ops. */
  readonly rules: (saved: Saved, dy: Tensor) => Rules;
  /** The tangent of the output from those of the inputs by name; by default, the gradient rules give it. */
  readonly forward?: ((saved: Saved, tangents: Partial<Saved>) => Tensor) | undefined;
  /** The output computed by other ops, from the inputs by name. */
  readonly composite?: ((inputs: Saved) => Tensor | undefined) | undefined;
}

/** The history of an op's result. Its rules refuse values that were overwritten or moved to other memory since. */
export function makeHistory(
  { op, output, names, inputs, outputs, rules, forward, composite }: Call,
): History {
  let overwritten: Map<number, string> | undefined;
  for (let i = 0; i < inputs.length; i++) {
    const by = overwrittenSinceMade(inputs[i]);
    if (by !== undefined) (overwritten ??= new Map()).set(i, by);
  }
  const places = inputs.map(({ storage, offset }) => ({ storage, offset }));
  const order = nextOrder();
  const ruleNow = (): Rule => {
    const saved: Record<string, Tensor> = {};
    names.forEach((name, i) => saved[name] = inputs[i]);
    for (const [name, y] of outputs?.() ?? []) saved[name] = y;
    const moved = inputs.filter(({ storage, offset }, i) =>
      storage !== places[i].storage || offset !== places[i].offset
    );
    return { op, order, saved, moved };
  };
  const history: History = {
    order,
    op,
    output,
    names,
    inputs,
    backward(dy) {
      const rule = ruleNow();
      const gradients = runRule(rule, () => rules(rule.saved, dy));
      return names.map((name) => {
        const gradient = gradients[name];
        if (!gradient?.length) return gradient && (() => runRule(rule, gradient));
        return (before?: Tensor) => runRule(rule, () => gradient(before));
      });
    },
    ...forward && {
      forward(tangents: readonly (Tensor | undefined)[]) {
        const rule = ruleNow();
        const named = names.flatMap((name, i) => tangents[i] ? [[name, tangents[i]]] : []);
        return runRule(rule, () => forward(rule.saved, Object.fromEntries(named)));
      },
    },
    ...composite && {
      composite: (views: readonly Tensor[]) =>
        runRule(ruleNow(), () => composite(Object.fromEntries(names.map((name, i) => [name, views[i]])))),
    },
  };
  return overwritten ? { ...history, overwritten } : history;
}

/** What overwrote a tensor's values since they were computed, if anything. */
export function overwrittenSinceMade({ history, storage, offset, size }: Tensor): string | undefined {
  return history && storage.overwritten(offset, size, history.order);
}

/** The gradient rule of one call of an op. */
export interface Rule {
  /** Name of the op. */
  readonly op: string;
  /** Event number of the op's run. */
  readonly order: number;
  /** Inputs and outputs of the call that the rule may read, by name. */
  readonly saved: Readonly<Record<string, Tensor>>;
  /** Inputs that have moved to other memory since. */
  readonly moved: readonly Tensor[];
}

let current: Rule | undefined;

/** Runs part of a rule. Ops called by it check that the saved values they read are unchanged. */
function runRule<T>(rule: Rule, run: () => T): T {
  const outer = current;
  current = rule;
  try {
    return run();
  } finally {
    current = outer;
  }
}

/** Checks the inputs of an op that a gradient rule calls. */
export function checkSaved(tensors: readonly Tensor[]): void {
  const rule = current;
  if (!rule) return;
  for (const tensor of tensors) {
    const { storage, offset, size } = tensor;
    const moved = rule.moved.find((x) => overlap(x, tensor));
    if (moved) {
      const [name] = Object.entries(rule.saved).find(([, value]) => value === moved)!;
      const why =
        `${name} ${moved} has moved to other memory since the op ran, and its gradient needs the old values`;
      const advice = "take gradients before a parameter moves, for example inside withParameters()";
      refuse(Error, `take gradients through ${rule.op}: ${why}; ${advice}`);
    }
    const by = storage.overwritten(offset, size, rule.order);
    if (by === undefined) continue;
    const saved = Object.entries(rule.saved).find(([, value]) => value.storage === storage);
    if (!saved) continue;
    const lost = `${by} has overwritten ${saved[0]} ${saved[1]}, which its gradient needs`;
    refuse(Error, `take gradients through ${rule.op}: ${lost}; take gradients before, or overwrite a copy`);
  }
}

/** All tensors in a value: a tensor, or arrays, sets, maps and the public fields of objects that hold such values. */
export function tensorsIn(value: unknown, seen: Set<unknown> = new Set()): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return [];
  seen.add(value);
  const parts = value instanceof Map || value instanceof Set ? [...value.values()] : Object.values(value);
  return parts.flatMap((part) => tensorsIn(part, seen));
}

/**
 * Runs a function and frees every tensor it made, except those it returns, also in arrays, sets, maps and the public
 * fields of objects, such as a network.
 *
 * Returned tensors keep their values but lose their history, since `gradients` cannot use freed memory. Tensors made
 * outside keep both.
 *
 * ```ts
 * import { init, multiply, scope, tensor } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const y = scope(() => {
 *   const x = tensor([1, 2, 3]);
 *   return multiply(x, multiply(x, x));
 * });
 * console.log(await y.read()); // [1, 8, 27]
 * ```
 */
export function scope<T>(run: () => T): T {
  const inner = new Scope(owners.scope);
  owners.scope = inner;
  let kept: Tensor[] = [];
  try {
    const result = run();
    if (result instanceof Promise) {
      refuse(TypeError, "run an asynchronous function in a scope: read values after the scope");
    }
    kept = tensorsIn(result);
    return result;
  } finally {
    owners.scope = inner.outer;
    inner.end(kept);
  }
}
