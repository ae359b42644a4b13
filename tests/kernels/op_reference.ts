/** Expected results of ops: their references in f64 on the inputs of their samples. */

import { sizeOf } from "../../kernels/core/shape.ts";
import { type Tensor, tensor } from "../../kernels/core/tensor.ts";
import type { RegisteredOp } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { uniforms } from "../../kernels/ops/random.ts";

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
