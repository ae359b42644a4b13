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
import { registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { type Arrays, oracle } from "./op_reference.ts";
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
