import assert from "node:assert/strict";
import { type KernelVariant, Passes, type Sample, withVariants } from "../../kernels/op_definition.ts";
import {
  type CallPlan,
  currentDevice,
  defineOp,
  type Dims,
  type Kernel,
  record,
  tensor,
} from "../../kernels/mod.ts";
import { assertClose, testOnDevices } from "../testing.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import { always, onNewDevice, testOnWebGpu } from "./devices/webgpu/tuning.ts";
import { inputsOf, oracle } from "./op_reference.ts";

/** A fake op with one output of the given shape. */
const gives = (shape: readonly number[]) => ({
  kernel: { name: `${shape}` } as Kernel,
  plan: (): CallPlan => ({ dims: { M: 1 }, outputs: [shape], hasEmptyInput: false }),
});

Deno.test("Passes.list passes buffers on, and numbers scratch memory from the largest down", () => {
  const passes = new Passes();
  const x = passes.buffer("x", [2]);
  const [small] = passes.run(gives([3]), [x], {});
  const [large] = passes.run(gives([5, 4]), [x, small], {});
  passes.run(gives([2]), [large, small], {}, "y");
  const smaller = { scratch: 1, elements: 3 }, larger = { scratch: 0, elements: 20 };
  assert.deepEqual(passes.list.map(({ buffers }) => buffers), [
    ["x", smaller],
    ["x", smaller, larger],
    [larger, smaller, "y"],
  ]);
});

Deno.test("withVariants() runs a call by its chosen variant if that fits, else by the table's", () => {
  const variant = (name: string, more: Partial<KernelVariant> = {}): KernelVariant => ({
    name,
    grid: () => 1,
    wgsl: () => name,
    ...more,
  });
  const parts = {
    name: "parts",
    fits: ({ n }: Dims) => n > 1,
    isDefault: ({ n }: Dims) => n > 8,
    passes: () => [],
  };
  const { specialise, passes, candidates } = withVariants(
    [variant("one"), variant("large", { fits: ({ n }) => n > 4 })],
    () => 0,
    parts,
  );
  const runs = (n: number, candidate?: string) => {
    const tuning = {
      workgroupSize: 1,
      software: true,
      pieces: 1,
      ...candidate !== undefined && { candidate },
    };
    return passes!({ n }, tuning) ? "parts" : ["one", "large"][specialise({ n }, tuning).variant];
  };
  assert.deepEqual([1, 2, 9].map((n) => runs(n)), ["one", "one", "parts"]);
  assert.deepEqual([2, 5, 9].map((n) => runs(n, "large")), ["one", "large", "large"]);
  assert.deepEqual([1, 2, 9].map((n) => runs(n, "parts")), ["one", "parts", "parts"]);
  assert.deepEqual([1, 9].map((n) => runs(n, "unknown")), ["one", "parts"]);
  const named = (n: number) => candidates({ n }, { workgroupSize: 1, software: true, pieces: 1 });
  assert.deepEqual([1, 5, 9].map(named), [["one"], ["one", "large", "parts"], ["parts", "one", "large"]]);
});

const doubled = defineOp({
  name: "doubledVectors",
  signature: "x[N] -> y[N]",
  wgsl: "fn kernel(i: u32) { y[i] = 2.0 * x[i]; }",
  vectors: () => ["x", "y"],
  invocations: ({ N }) => N / 4,
  reference({ x, y }) {
    for (let i = 0; i < y.length; i++) y[i] = 2 * x[i];
  },
  samples: [],
});

testOnDevices("an op accepts buffers of vectors", async () => {
  assert.deepEqual([...await doubled(tensor([1, 2, 3, 4, 5, 6, 7, 8])).read()], [2, 4, 6, 8, 10, 12, 14, 16]);
});

testOnWebGpu("a buffer whose length is not a multiple of four is refused", () => {
  assert.throws(() => doubled(tensor([1, 2, 3, 4, 5])), {
    name: "DeviceError",
    message: "Cannot run doubledVectors by vectors: x has 5 elements (expected a multiple of 4)",
  });
});

/** Allowed error of f32 kernels, relative to the largest value. */
const tolerance = 2e-5;

function candidatesFor({ kernel, inputs, plan }: RegisteredOp, { shapes, attributes = {} }: Sample) {
  const { dims } = plan(inputs.map(({ name }) => shapes[name]), attributes);
  return kernel.candidates!(dims, currentDevice().tuning);
}

for (const op of registry.values()) {
  if (!op.kernel.candidates) continue;
  testOnWebGpu(
    `${op.name}() equals its reference with each of its candidates`,
    () =>
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
      }),
  );
}
