import assert from "node:assert/strict";
import "../../kernels/mod.ts";
import { tensor } from "../../kernels/mod.ts";
import { type RegisteredOp, registry, type Sample } from "../../kernels/op.ts";
import { gradients } from "../../kernels/autograd/gradients.ts";
import { multiply, sum } from "../../kernels/mod.ts";
import { uniforms } from "../../kernels/ops/random/threefry.ts";
import { assertClose, testOnAllKernels } from "../testing.ts";
import { inputsOf, oracle } from "./oracle.ts";

/** Allowed error of f32 kernels, relative to the largest value. */
const tolerance = 2e-5;

function tensorsOf(op: RegisteredOp, { shapes }: Sample, inputs: readonly (Float64Array | Uint32Array)[]) {
  return op.inputs.map(({ name, type }, i) =>
    tensor(type === "u32" ? inputs[i] as Uint32Array : Float32Array.from(inputs[i]), shapes[name])
  );
}

for (const op of registry.values()) {
  op.samples.forEach((sample, k) => {
    testOnAllKernels(`${op.name}() equals its f64 reference, sample ${k}`, async () => {
      const inputs = inputsOf(op, sample);
      const expected = oracle(op, sample, inputs);
      const tensors = tensorsOf(op, sample, inputs);
      const outputs = op.run(tensors, sample.attributes ?? {});
      const fresh = op.outputs.filter(({ name }) => !(op.inputs.some((input) => input.name === name)));
      for (const { name } of op.outputs) {
        const at = fresh.findIndex((port) => port.name === name);
        const y = at >= 0 ? outputs[at] : tensors[op.inputs.findIndex((input) => input.name === name)];
        assertClose(await y.read(), expected[name], tolerance, name);
      }
    });

    if (!op.differentiable) return;
    testOnAllKernels(`${op.name}() has the gradient of its f64 reference, sample ${k}`, async () => {
      const inputs = inputsOf(op, sample);
      const tensors = tensorsOf(op, sample, inputs);
      const [y] = op.run(tensors, sample.attributes ?? {});
      const weights = Float64Array.from(uniforms(11, 3, k, y.size), (u) => Math.fround(2 * u - 1));
      const loss = sum(multiply(y, tensor(Float32Array.from(weights), y.shape)));
      const objective = (x: readonly (Float64Array | Uint32Array)[]) => {
        const values = oracle(op, sample, x)[op.outputs[0].name];
        return weights.reduce((total, weight, i) => total + weight * values[i], 0);
      };
      const differentiable = op.inputs.flatMap(({ type }, i) => type === "f32" ? [i] : []);
      const found = gradients(loss, differentiable.map((i) => tensors[i]));
      for (const [at, i] of differentiable.entries()) {
        const h = 1e-5;
        const expected = Float64Array.from(inputs[i], (value, j) => {
          const moved = (to: number) => objective(inputs.map((x, other) => other === i ? x.with(j, to) : x));
          return (moved(value + h) - moved(value - h)) / (2 * h);
        });
        assertClose(await found[at].read(), expected, 5 * tolerance, `gradient of ${op.inputs[i].name}`);
      }
    });
  });
}

Deno.test("registry holds every op that its gradients need", () => {
  assert.ok(registry.size > 40, `only ${registry.size} ops`);
});
