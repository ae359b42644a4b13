import { type Shape, ShapeError, showShape, sizeOf } from "./shape.ts";

/** Element type of a buffer: numbers are f32; bytes, indices and random keys are u32. */
export type DataType = "f32" | "u32";

/** One buffer of an op. An axis written `S...` stands for any number of axes. */
export interface Port {
  /** Name of the buffer in the signature, the WGSL and the reference. */
  readonly name: string;
  /** Type of its elements. */
  readonly type: DataType;
  /** Names or fixed lengths of its axes. */
  readonly axes: readonly string[];
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

/** Parses a signature. */
export function parseSignature(text: string): Signature {
  const [inputs, outputs] = text.split(" -> ").map((side) =>
    Array.from(side.matchAll(/(\w+)(?::(u32))?\[([^\]]*)\]/g), ([, name, type, axes]): Port => ({
      name,
      type: (type ?? "f32") as DataType,
      axes: axes.split(",").map((axis) => axis.trim()).filter((axis) => axis !== ""),
    }))
  );
  return { text, inputs, outputs };
}

const isVariadic = (axis: string) => axis.endsWith("...");

/**
 * Matches the shapes of a call against a signature.
 *
 * @throws {ShapeError} if a rank or a length does not fit; names the axis and every input
 */
export function bindAxes(op: string, signature: Signature, shapes: readonly Shape[]): BoundAxes {
  const dims: Record<string, number> = {};
  const variadic: Record<string, Shape> = {};
  const firstSeen: Record<string, string> = {};
  const fail = (why: string): never => {
    const given = signature.inputs.map((port, i) => `${port.name} ${showShape(shapes[i], port.type)}`).join(
      ", ",
    );
    throw new ShapeError(`Cannot run ${op}: ${why}: ${given} (expected ${signature.text})`);
  };
  signature.inputs.forEach((port, i) => {
    const shape = shapes[i];
    const stretch = port.axes.findIndex(isVariadic);
    const extra = shape.length - port.axes.length;
    if (stretch < 0 ? extra !== 0 : extra < -1) {
      fail(`${port.name} has ${shape.length} axes, not ${port.axes.length - (stretch < 0 ? 0 : 1)}`);
    }
    let at = 0;
    for (const axis of port.axes) {
      if (isVariadic(axis)) {
        const name = axis.slice(0, -3);
        const part = shape.slice(at, at + extra + 1);
        at += extra + 1;
        if (name in variadic && variadic[name].join() !== part.join()) {
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
      const fixed = /^\d+$/.test(axis);
      const known = fixed ? Number(axis) : dims[axis];
      if (known !== undefined && known !== length) {
        fail(
          `${axis} is ${known}${
            axis in firstSeen ? ` in ${firstSeen[axis]}` : ""
          } but ${length} in ${port.name}`,
        );
      }
      if (fixed) continue;
      dims[axis] = length;
      firstSeen[axis] ??= port.name;
    }
  });
  return { dims, shapes: variadic };
}

/** Shape of one output, once all its axes are bound. */
export function outputShape(port: Port, { dims, shapes }: BoundAxes): Shape {
  return port.axes.flatMap((axis) => {
    if (isVariadic(axis)) return shapes[axis.slice(0, -3)];
    return /^\d+$/.test(axis) ? Number(axis) : dims[axis];
  });
}
