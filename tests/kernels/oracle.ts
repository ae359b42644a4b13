/** What tests expect of ops, besides the references on their samples: convolutions, and derivatives along directions. */

import {
  conv2d,
  convTranspose2d,
  defineOp,
  gradients,
  multiply,
  sum,
  type Tensor,
  tensor,
  type TransposedConvolutionOptions,
  uniforms,
} from "../../kernels/mod.ts";
import type { Pass, Tuning } from "../../kernels/devices/device.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { type Shape, sizeOf } from "../../kernels/core/shape.ts";
import { geometryOf } from "../../kernels/ops/conv2d/op.ts";

/** Declares an op that the registry test does not see. */
export const hiddenOp: typeof defineOp = (definition, options) => {
  const op = defineOp(definition, options);
  registry.delete(definition.name);
  return op;
};

/** The shaders that do a call's work, with their sizes: those for GPUs and for software adapters are often the same. */
export function shadersOf({ kernel, dims }: Pick<Pass, "kernel" | "dims">, tuning: Tuning): string {
  const passes = kernel.passes?.(dims, tuning);
  if (passes) return passes.map((pass) => shadersOf(pass, tuning)).join("\n");
  const grid = kernel.workgroups(dims, tuning) ?? kernel.invocations(dims, tuning);
  return JSON.stringify([kernel.wgsl(tuning, kernel.specialise(dims, tuning)), dims, grid]);
}

/** A value that is computed when it is first asked for. */
export function lazily<T>(compute: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: compute() }).value;
}

/** What a convolution and its gradients are computed from. */
type Convolved<T> = Readonly<Record<"x" | "w" | "bias" | "dy", T>>;

/** Options of a convolution, or of a transposed one. */
export type Options = TransposedConvolutionOptions & { readonly transposed?: boolean };

/** A convolution and its gradients, on the device in use. */
export async function runConvolution(
  arrays: Convolved<Float64Array>,
  shapes: Convolved<Shape>,
  { transposed = false, ...options }: Options,
): Promise<Record<"y" | "dx" | "dw", Float32Array>> {
  const [x, w, bias, dy] = (["x", "w", "bias", "dy"] as const).map((name) =>
    tensor(Float32Array.from(arrays[name]), shapes[name])
  );
  const y = (transposed ? convTranspose2d : conv2d)(x, w, bias, options);
  const [dx, dw] = gradients(sum(multiply(y, dy)), [x, w]);
  return { y: await y.read(), dx: await dx.read(), dw: await dw.read() };
}

/** The same by the references in f64, each computed when it is first asked for. */
export function exactConvolution(
  arrays: Convolved<Float64Array>,
  shapes: Convolved<Shape>,
  { transposed = false, outputPadding: _, ...options }: Options,
): Record<"y" | "dx" | "dw", () => Float64Array> {
  const plain = geometryOf("run a convolution", options);
  const run = (name: string, names: (keyof typeof arrays)[], attributes: Sample["attributes"]) =>
    lazily(() => {
      const op = registry.get(name)!, [output] = op.outputs;
      const inputShapes = Object.fromEntries(op.inputs.map((input, i) => [input.name, shapes[names[i]]]));
      const sample = { shapes: inputShapes, attributes: { ...plain, ...attributes } };
      return oracle(op, sample, names.map((name) => arrays[name]))[output.name] as Float64Array;
    });
  const [N, , H, W] = shapes.x, [, , R, S] = shapes.w, [, , P, Q] = shapes.dy;
  const [there, back] = transposed ? [1, 0] : [0, 1];
  return {
    y: run("conv2d", ["x", "w", "bias"], { transposed: there, P, Q }),
    dx: run("conv2dInputGradient", ["dy", "w"], { transposed: back, P: H, Q: W }),
    dw: run("conv2dWeightGradient", transposed ? ["dy", "x"] : ["x", "dy"], { R, S, run: N }),
  };
}

/** Directions of inputs, by the index of the input. */
export type Directions = ReadonlyMap<number, Float64Array>;

/** The derivative of f along directions of its inputs, by a central difference. */
export function slopeAlong(
  f: (inputs: Arrays) => Float64Array,
  inputs: Arrays,
  directions: Directions,
  h: number,
): Float64Array {
  const moved = (by: number) =>
    inputs.map((x, k) => {
      const direction = directions.get(k);
      return direction && x instanceof Float64Array ? x.map((value, i) => value + by * direction[i]) : x;
    });
  const [ahead, behind] = [f(moved(h)), f(moved(-h))];
  return ahead.map((value, i) => (value - behind[i]) / (2 * h));
}

/** A tensor of uniform numbers in [-1, 1), fixed for each stream. */
export function randomTensor(stream: number, shape: readonly number[]): Tensor {
  return tensor(uniforms(5, stream, 0, sizeOf(shape)).map((u) => 2 * u - 1), shape);
}

/** Expected results of ops: their references in f64 on the inputs of their samples. */

/** Values of an op's inputs. */
export type Arrays = readonly (Float64Array | Uint32Array)[];

/** Inputs of a sample in f64, exactly representable in f32. */
export function inputsOf(op: RegisteredOp, { shapes, values }: Sample): (Float64Array | Uint32Array)[] {
  return op.inputs.map(({ name, type }, i) => {
    const sampled = values?.[name];
    if (type === "u32") return Uint32Array.from(sampled!);
    const count = sizeOf(shapes[name]);
    const drawn = sampled ?? uniforms(7, i + 1, op.name.length, count).map((u) => 4 * u - 2);
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

/** All outputs of a call by name, including those updated in place. */
export function outputsOf(
  op: RegisteredOp,
  tensors: readonly Tensor[],
  attributes: Sample["attributes"] = {},
) {
  const fresh = op.run(tensors, attributes);
  return op.outputs.map(({ name }) => {
    const updated = op.inputs.findIndex((input) => input.name === name);
    return [name, updated >= 0 ? tensors[updated] : fresh.shift()!] as const;
  });
}
