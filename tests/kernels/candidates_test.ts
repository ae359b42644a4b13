import assert from "node:assert/strict";
import { currentDevice, record, tensor } from "../../kernels/mod.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { assertClose } from "../testing.ts";
import { always, onNewDevice, testTuning } from "./devices/webgpu/tuning.ts";
import { inputsOf, oracle } from "./oracle.ts";

/** Allowed error of f32 kernels, relative to the largest value. */
const tolerance = 2e-5;

/** The candidates for a sample. */
function candidatesFor({ kernel, inputs, plan }: RegisteredOp, { shapes, attributes = {} }: Sample) {
  const { dims } = plan(inputs.map(({ name }) => shapes[name]), attributes);
  return kernel.candidates!(dims, currentDevice().tuning);
}

for (const op of registry.values()) {
  if (!op.kernel.candidates) continue;
  testTuning(`${op.name}() equals its reference by each of its candidates`, () =>
    onNewDevice(async () => {
      const sample = op.samples.toSorted((a, b) =>
        candidatesFor(op, b).length - candidatesFor(op, a).length
      )[0];
      const inputs = inputsOf(op, sample);
      const expected = oracle(op, sample, inputs);
      const candidates = candidatesFor(op, sample);
      assert.ok(candidates.length > 1);
      for (const candidate of candidates) {
        const tensors = op.inputs.map(({ name }, i) =>
          tensor(Float32Array.from(inputs[i]), sample.shapes[name])
        );
        const step = record(() => op.run(tensors, sample.attributes ?? {}));
        const choices = await step.tune({ store: always(candidate), seconds: 0 });
        const own = choices.find(({ key }) => key.call.startsWith(`${op.name} `)); // parts have choices, too
        assert.equal(own?.chosen, candidate);
        step.run();
        for (const [i, y] of step.result.entries()) {
          const { name } = op.outputs[i];
          assertClose(await y.read(), expected[name], tolerance, `${name} by ${candidate}`);
        }
      }
    }));
}
