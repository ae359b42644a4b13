/** What ops should give: their references in f64 on the inputs of their samples. */

import type { RegisteredOp } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { uniforms } from "../../kernels/ops/random/threefry.ts";

/** Arrays of a sample's inputs in f64, exactly representable in f32. */
export function inputsOf(op: RegisteredOp, { shapes, values }: Sample): (Float64Array | Uint32Array)[] {
  return op.inputs.map(({ name, type }, i) => {
    const given = values?.[name];
    if (type === "u32") return Uint32Array.from(given!);
    const count = sizeOf(shapes[name]);
    const drawn = given ?? uniforms(7, i + 1, op.name.length, count).map((u) => 4 * u - 2);
    return Float64Array.from(drawn, Math.fround);
  });
}

/** Runs an op's reference in f64: the final content of every buffer by name. */
export function oracle(
  op: RegisteredOp,
  { shapes, attributes = {} }: Sample,
  inputs: readonly (Float64Array | Uint32Array)[],
) {
  const { dims, outputs } = op.plan(op.inputs.map(({ name }) => shapes[name]), attributes);
  const arrays: Record<string, Float64Array | Uint32Array> = {};
  op.inputs.forEach(({ name }, i) => arrays[name] = inputs[i].slice());
  const fresh = op.outputs.filter(({ name }) => !(name in arrays));
  fresh.forEach(({ name }, i) => arrays[name] = new Float64Array(sizeOf(outputs[i])));
  op.kernel.reference(arrays, dims);
  return arrays;
}
