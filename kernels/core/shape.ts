import { describeValue, isCount, refuse, UserError } from "./checks.ts";

/** The lengths of a tensor's axes, outermost first. */
export type Shape = readonly number[];

/** Thrown if the shapes of tensors do not fit an op; the message names the op, the shapes and the rule. */
export class ShapeError extends UserError {
  /** Class name, kept in minified code. */
  override name = "ShapeError";
}

/** Number of elements of a shape; 1 for a scalar, `[]`. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** The number of elements of a shape of whole numbers; all others are refused. */
export function checkedSizeOf(shape: Shape): number {
  if (!Array.isArray(shape)) {
    refuse(ShapeError, `make a tensor of shape ${describeValue(shape)}`, "a list of lengths, such as [2, 3]");
  }
  const size = sizeOf(shape);
  if (Number.isSafeInteger(size) && shape.every((length) => isCount(length))) return size;
  const shown = shape.map(describeValue).join(", ");
  refuse(ShapeError, `make a tensor of shape [${shown}]`, "whole numbers of at least 0");
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** A shape as shown in messages: `f32[2, 3]`. */
export function showShape(shape: Shape, type = "f32"): string {
  return `${type}[${shape.join(", ")}]`;
}

/** The shape that `a` and `b` broadcast to: axes are aligned at the end, and an axis of length 1 stretches. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const m = a[axis - rank + a.length] ?? 1;
    const n = b[axis - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      const shapes = `${showShape(a)} with ${showShape(b)}`;
      refuse(ShapeError, `broadcast ${shapes}: lengths ${m} and ${n} meet`, "equal lengths or 1");
    }
    return m === 1 ? n : m;
  });
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Strides that read a tensor of `shape` as if it had been broadcast to `target`: 0 along every stretched axis. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const strides = stridesOf(shape);
  return target.map((_, axis) => {
    const own = axis - target.length + shape.length;
    return own < 0 || shape[own] === 1 ? 0 : strides[own];
  });
}

/** An axis counted from the end if negative, as a plain index; `of` names the caller in the error. */
export function axisOf(axis: number, rank: number, of: string): number {
  const plain = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || plain < 0 || plain >= rank) {
    const expected = rank > 0 ? `an axis from ${-rank} to ${rank - 1}` : "a tensor with axes";
    refuse(ShapeError, `run ${of}: axis ${axis} is outside a tensor of rank ${rank}`, expected);
  }
  return plain;
}

/** Element type of a buffer: numbers are f32; bytes, indices and random keys are u32. */
export type DataType = "f32" | "u32";

/** One axis of a buffer. */
export interface Axis {
  /** Its name, without the dots of `S...`. */
  readonly name: string;
  /** Its length, if the signature fixes it. */
  readonly length?: number;
  /** Whether it matches any number of axes. */
  readonly variadic: boolean;
}

/** One buffer of an op. */
export interface Port {
  /** Name of the buffer in the signature, the WGSL and the reference. */
  readonly name: string;
  /** Type of its elements. */
  readonly type: DataType;
  /** Its axes; at most one is variadic. */
  readonly axes: readonly Axis[];
}

/** A parsed signature, `a[M, K], b[K, N] -> y[M, N]`. An output with the name of an input is updated in place. */
export interface Signature {
  readonly text: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/**
 * A buffer's name without the separator and type around it.
 *
 * @internal
 */
type BareName<S extends string> = S extends `, ${infer R}` ? BareName<R>
  : S extends `${infer N}:u32` ? N
  : S;
/**
 * Names of the buffers on one side of a signature.
 *
 * @internal
 */
type PortNames<S extends string> = S extends `${infer Head}[${infer _Axes}]${infer Rest}`
  ? [BareName<Head>, ...PortNames<Rest>]
  : [];

/** Names of a signature's inputs, as a tuple type. */
export type InputNames<S extends string> = S extends `${infer I} -> ${infer _O}` ? PortNames<I> : [];
/** Names of a signature's outputs, as a tuple type. */
export type OutputNames<S extends string> = S extends `${infer _I} -> ${infer O}` ? PortNames<O> : [];

/** The axes of a call: lengths by name (of `S...`, the product), and the shapes that `S...` axes stand for. */
interface BoundAxes {
  readonly dims: Record<string, number>;
  readonly shapes: Record<string, Shape>;
}

/** Matches the shapes of a call against a signature. */
export function bindAxes(op: string, signature: Signature, given: readonly Shape[]): BoundAxes {
  const dims: Record<string, number> = {};
  const shapes: Record<string, Shape> = {};
  const firstSeen: Record<string, string> = {};
  if (given.length !== signature.inputs.length) {
    refuse(ShapeError, `run ${op}: ${given.length} shapes`, `${signature.inputs.length}, ${signature.text}`);
  }
  const fail = (why: string): never => {
    const inputs = showInputs(signature, given);
    refuse(ShapeError, `run ${op}: ${why}: ${inputs}`, signature.text);
  };
  signature.inputs.forEach(({ name: port, axes }, i) => {
    const shape = given[i];
    const isStretched = axes.some(({ variadic }) => variadic);
    const stretch = shape.length - axes.length + 1; // axes that `S...` stands for
    if (isStretched ? stretch < 0 : stretch !== 1) {
      fail(`${port} has ${shape.length} axes, not ${axes.length - (isStretched ? 1 : 0)}`);
    }
    let at = 0;
    for (const { name, length: fixed, variadic } of axes) {
      const start = at;
      at += variadic ? stretch : 1;
      const part = variadic ? shape.slice(start, at) : undefined;
      const length = part ? sizeOf(part) : shape[start];
      if (fixed !== undefined) {
        if (fixed !== length) fail(`axis ${start} of ${port} is ${length}, not ${fixed}`);
        continue;
      }
      if (part && shapes[name] && !sameShape(shapes[name], part)) {
        fail(
          `${name} is [${shapes[name].join(", ")}] in ${firstSeen[name]} but [${part.join(", ")}] in ${port}`,
        );
      } else if (dims[name] !== undefined && dims[name] !== length) {
        fail(`${name} is ${dims[name]} in ${firstSeen[name]} but ${length} in ${port}`);
      }
      dims[name] = length;
      if (part) shapes[name] = part;
      firstSeen[name] ??= port;
    }
  });
  return { dims, shapes };
}

/** The inputs of a call, `a f32[2, 3], b f32[3, 4]`. */
export function showInputs({ inputs }: Signature, shapes: readonly Shape[]): string {
  return inputs.map(({ name, type }, i) => `${name} ${showShape(shapes[i], type)}`).join(", ");
}

/** Shape of one output, once all its axes are bound. */
export function outputShape(port: Port, { dims, shapes }: BoundAxes): Shape {
  const shape: number[] = [];
  for (const { name, length, variadic } of port.axes) {
    if (variadic) shape.push(...shapes[name]);
    else shape.push(length ?? dims[name]);
  }
  return shape;
}

const buffer = /^([A-Za-z_]\w*)(?::(u32))?\[([^\[\]]*)\]$/;
const named = /^([A-Za-z_]\w*)(\.\.\.)?$/;
const example = "a[M, K], b[K, N] -> y[M, N]";

/** The parts of an op's declaration that its signature is checked against. */
interface Declaration {
  readonly name: string;
  readonly signature: string;
  readonly attributes?: object;
  readonly derive?: unknown;
}

/** Parses the signature of an op. */
export function parseSignature(
  { name: op, signature: text, attributes = {}, derive }: Declaration,
): Signature {
  const fail = (why: string, expected = `a signature such as ${example}`): never => {
    refuse(TypeError, `declare op ${op}: its signature "${text}" ${why}`, expected);
  };
  const sides = text.split(" -> ");
  if (sides.length !== 2) fail(`has ${sides.length - 1} arrows " -> " between inputs and outputs`);
  const [inputs, outputs] = sides.map((side) => portsOf(side, fail));
  if (outputs.length === 0) fail("has no output");
  for (const ports of [inputs, outputs]) {
    const twice = ports.find(({ name }, i) => ports.findIndex((port) => port.name === name) < i);
    if (twice) fail(`has two buffers ${twice.name} on one side`, "a different name for each");
  }
  const inputAxes = inputs.flatMap(({ axes }) => axes);
  for (const { name, type, axes } of outputs) {
    const updated = inputs.find((input) => input.name === name);
    if (updated && (showAxes(updated.axes) !== showAxes(axes) || updated.type !== type)) {
      fail(`changes the axes or type of ${name}, which it updates in place`, "the same as for the input");
    }
    const unknown = axes.find((axis) =>
      axis.length === undefined && !(axis.name in attributes && !axis.variadic) &&
      !inputAxes.some((other) => other.name === axis.name && (other.variadic || !axis.variadic))
    );
    if (unknown && derive === undefined) {
      fail(
        `does not give the length of ${showAxes([unknown])} in ${name}`,
        "an axis of an input, an attribute, or derive",
      );
    }
  }
  return { text, inputs, outputs };
}

function portsOf(side: string, fail: (why: string, expected?: string) => never): Port[] {
  if (side === "") return [];
  return side.split(/(?<=\]), /).map((part) => {
    const match = buffer.exec(part);
    const [, name, type, list] = match ??
      fail(`contains "${part}"`, "a buffer such as a[M, K], x[S...] or index:u32[n]");
    const texts = list.trim() === "" ? [] : list.split(",").map((text) => text.trim());
    const axes = texts.map((text) =>
      parsedAxis(text) ?? fail(`has an axis "${text}" of ${name}`, "a name, a length, or S... for any axes")
    );
    if (axes.filter(({ variadic }) => variadic).length > 1) {
      fail(`has several variadic axes in ${name}[${list}]`, "at most one");
    }
    return { name, type: type === "u32" ? "u32" : "f32", axes };
  });
}

function parsedAxis(text: string): Axis | undefined {
  if (/^\d+$/.test(text)) return { name: text, length: Number(text), variadic: false };
  const [, name, dots] = named.exec(text) ?? [];
  return name === undefined ? undefined : { name, variadic: dots !== undefined };
}

/** Axes as written in a signature, `N, S...`. */
export function showAxes(axes: readonly Axis[]): string {
  return axes.map(({ name, variadic }) => variadic ? `${name}...` : name).join(", ");
}
