/** Expected results of ops: their references in f64 on the inputs of their samples, and derivatives of these. */

import {
  conv2d,
  defineOp,
  gradients,
  multiply,
  sum,
  type Tensor,
  tensor,
  uniforms,
} from "../../kernels/mod.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { type Shape, sizeOf } from "../../kernels/core/shape.ts";
import { plainGeometry } from "../../kernels/ops/conv2d/geometry.ts";

/** Declares an op that the registry test does not see. */
export const hiddenOp: typeof defineOp = (definition, options) => {
  const op = defineOp(definition, options);
  registry.delete(definition.name);
  return op;
};

/** Values of an op's inputs. */
export type Arrays = readonly (Float64Array | Uint32Array)[];

/** Inputs of a sample in f64, exactly representable in f32. */
export function inputsOf(op: RegisteredOp, { shapes, values }: Sample): (Float64Array | Uint32Array)[] {
  return op.inputs.map(({ name, type }, i) => {
    const given = values?.[name];
    if (type === "u32") return Uint32Array.from(given!);
    const count = sizeOf(shapes[name]);
    const drawn = given ?? uniforms(7, i + 1, op.name.length, count).map((u) => 4 * u - 2);
    return Float64Array.from(drawn, Math.fround);
  });
}

/** The inputs as tensors. */
export function tensorsOf(op: RegisteredOp, { shapes }: Sample, inputs: Arrays): Tensor[] {
  return op.inputs.map(({ name, type }, i) =>
    tensor(type === "u32" ? inputs[i] as Uint32Array : Float32Array.from(inputs[i]), shapes[name])
  );
}

/** Runs an op's reference in f64 and returns the final content of every buffer by name. */
export function oracle(op: RegisteredOp, { shapes, attributes = {} }: Sample, inputs: Arrays) {
  const { dims, outputs } = op.plan(op.inputs.map(({ name }) => shapes[name]), attributes);
  const arrays: Record<string, Float64Array | Uint32Array> = {};
  op.inputs.forEach(({ name }, i) => arrays[name] = inputs[i].slice());
  const fresh = op.outputs.filter(({ name }) => !(name in arrays));
  fresh.forEach(({ name }, i) => arrays[name] = new Float64Array(sizeOf(outputs[i])));
  op.kernel.reference(arrays, dims);
  return arrays;
}

/** What a convolution and its gradients are computed from. */
type Convolved<T> = Readonly<Record<"x" | "w" | "bias" | "dy", T>>;

/** A convolution with zeros on all sides, and its gradients, on the device in use. */
export async function runConvolution(
  arrays: Convolved<Float64Array>,
  shapes: Convolved<Shape>,
  padding: number,
): Promise<Record<"y" | "dx" | "dw", Float32Array>> {
  const [x, w, bias, dy] = (["x", "w", "bias", "dy"] as const).map((name) =>
    tensor(Float32Array.from(arrays[name]), shapes[name])
  );
  const y = conv2d(x, w, bias, { padding });
  const [dx, dw] = gradients(sum(multiply(y, dy)), [x, w]);
  return { y: await y.read(), dx: await dx.read(), dw: await dw.read() };
}

/** The same by the references in f64. */
export function exactConvolution(
  arrays: Convolved<Float64Array>,
  shapes: Convolved<Shape>,
  padding: number,
): Record<"y" | "dx" | "dw", Float64Array> {
  const run = (name: string, names: (keyof typeof arrays)[], attributes: Sample["attributes"]) => {
    const op = registry.get(name)!, [output] = op.outputs;
    const given = Object.fromEntries(op.inputs.map((input, i) => [input.name, shapes[names[i]]]));
    const geometry = { ...plainGeometry(padding), ...attributes };
    const values = oracle(op, { shapes: given, attributes: geometry }, names.map((name) => arrays[name]));
    return values[output.name] as Float64Array;
  };
  const [N, , H, W] = shapes.x, [, , R, S] = shapes.w, [, , P, Q] = shapes.dy;
  return {
    y: run("conv2d", ["x", "w", "bias"], { transposed: 0, P, Q }),
    dx: run("conv2dInputGradient", ["dy", "w"], { transposed: 1, P: H, Q: W }),
    dw: run("conv2dWeightGradient", ["x", "dy"], { R, S, run: N }),
  };
}

/** Derivatives of f with respect to the elements of one input, by central differences. */
export function differences(
  f: (inputs: Arrays) => number,
  inputs: Arrays,
  at: number,
  h = 1e-5,
): Float64Array {
  const moved = (i: number, by: number) => f(inputs.map((x, k) => k === at ? x.with(i, x[i] + by) : x));
  return Float64Array.from(inputs[at], (_, i) => (moved(i, h) - moved(i, -h)) / (2 * h));
}

/** Moves some inputs along directions. */
function movedAlong(
  inputs: Arrays,
  along: readonly number[],
  directions: readonly Float64Array[],
  by: number,
): Arrays {
  return inputs.map((x, k) => {
    const part = directions[along.indexOf(k)];
    return part && x instanceof Float64Array ? x.map((value, i) => value + by * part[i]) : x;
  });
}

/** The derivative of an op's first output along directions of some inputs, by a central difference. */
export function directional(
  op: RegisteredOp,
  sample: Sample,
  inputs: Arrays,
  along: readonly number[],
  directions: readonly Float64Array[],
  h = 1e-5,
): Float64Array {
  const [ahead, behind] = [h, -h].map((by) =>
    oracle(op, sample, movedAlong(inputs, along, directions, by))[op.outputs[0].name]
  );
  return Float64Array.from(ahead, (value, i) => (value - behind[i]) / (2 * h));
}

/**
 * Derivatives, with respect to the elements of one input, of the derivative of f along a direction.
 *
 * @param along the inputs in which the direction has a component
 * @param directions the components
 */
export function mixedDifferences(
  f: (inputs: Arrays) => number,
  inputs: Arrays,
  at: number,
  along: readonly number[],
  directions: readonly Float64Array[],
  h = 1e-4,
): Float64Array {
  const [ahead, behind] = [h, -h].map((by) =>
    differences(f, movedAlong(inputs, along, directions, by), at, h)
  );
  return ahead.map((slope, i) => (slope - behind[i]) / (2 * h));
}

/** A tensor of uniform numbers in [-1, 1), fixed for each stream. */
export function randomTensor(stream: number, shape: readonly number[]): Tensor {
  return tensor(uniforms(5, stream, 0, sizeOf(shape)).map((u) => 2 * u - 1), shape);
}
