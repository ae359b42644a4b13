import { sameShape, type Shape, ShapeError, showShape, sizeOf } from "./shape.ts";

/** Element type of a buffer: numbers are f32; bytes, indices and random keys are u32. */
export type DataType = "f32" | "u32";

/** One axis of a buffer. */
export interface Axis {
  /** Its name, without the dots of `S...`. */
  readonly name: string;
  /** Its length, if the signature fixes it. */
  readonly length?: number;
  /** Whether it stands for any number of axes. */
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

/** A buffer's name without the separator and type around it. */
export type BareName<S extends string> = S extends `, ${infer R}` ? BareName<R>
  : S extends `${infer N}:u32` ? N
  : S;
/** Names of the buffers on one side of a signature. */
export type PortNames<S extends string> = S extends `${infer Head}[${infer _Axes}]${infer Rest}`
  ? [BareName<Head>, ...PortNames<Rest>]
  : [];

/** Names of a signature's inputs, as a tuple type. */
export type InputNames<S extends string> = S extends `${infer I} -> ${infer _O}` ? PortNames<I> : [];
/** Names of a signature's outputs, as a tuple type. */
export type OutputNames<S extends string> = S extends `${infer _I} -> ${infer O}` ? PortNames<O> : [];

/** The axes of a call: lengths by name (of `S...`, the product), and the shapes that `S...` axes stand for. */
export interface BoundAxes {
  readonly dims: Record<string, number>;
  readonly shapes: Record<string, Shape>;
}

/**
 * Matches the shapes of a call against a signature.
 *
 * @throws {ShapeError} if a rank or a length does not fit; names the axis and every input
 */
export function bindAxes(op: string, signature: Signature, shapes: readonly Shape[]): BoundAxes {
  const dims: Record<string, number> = {};
  const variadic: Record<string, Shape> = {};
  const firstSeen: Record<string, string> = {};
  if (shapes.length !== signature.inputs.length) {
    throw new ShapeError(
      `Cannot run ${op}: ${shapes.length} shapes (expected ${signature.inputs.length}, ${signature.text})`,
    );
  }
  const fail = (why: string): never => {
    const given = signature.inputs.map((port, i) => `${port.name} ${showShape(shapes[i], port.type)}`).join(
      ", ",
    );
    throw new ShapeError(`Cannot run ${op}: ${why}: ${given} (expected ${signature.text})`);
  };
  signature.inputs.forEach((port, i) => {
    const shape = shapes[i];
    const isStretched = port.axes.some(({ variadic }) => variadic);
    const extra = shape.length - port.axes.length;
    if (isStretched ? extra < -1 : extra !== 0) {
      fail(`${port.name} has ${shape.length} axes, not ${port.axes.length - (isStretched ? 1 : 0)}`);
    }
    let at = 0;
    for (const axis of port.axes) {
      if (axis.variadic) {
        const { name } = axis;
        const part = shape.slice(at, at + extra + 1);
        at += extra + 1;
        if (name in variadic && !sameShape(variadic[name], part)) {
          fail(
            `${name} is [${variadic[name].join(", ")}] in ${firstSeen[name]} but [${
              part.join(", ")
            }] in ${port.name}`,
          );
        }
        variadic[name] = part;
        dims[name] = sizeOf(part);
        firstSeen[name] ??= port.name;
        continue;
      }
      const length = shape[at++];
      if (axis.length !== undefined) {
        if (axis.length !== length) fail(`axis ${at - 1} of ${port.name} is ${length}, not ${axis.length}`);
        continue;
      }
      const known = dims[axis.name];
      if (known !== undefined && known !== length) {
        fail(`${axis.name} is ${known} in ${firstSeen[axis.name]} but ${length} in ${port.name}`);
      }
      dims[axis.name] = length;
      firstSeen[axis.name] ??= port.name;
    }
  });
  return { dims, shapes: variadic };
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
