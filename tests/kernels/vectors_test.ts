import assert from "node:assert/strict";
import { defineOp, tensor } from "../../kernels/mod.ts";
import { devices, testOn, testOnDevices } from "../testing.ts";

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

testOnDevices("an op takes buffers as vectors", async () => {
  assert.deepEqual([...await doubled(tensor([1, 2, 3, 4, 5, 6, 7, 8])).read()], [2, 4, 6, 8, 10, 12, 14, 16]);
});

testOn("webgpu", devices.get("webgpu")!, "a buffer that does not end with a vector is refused", () => {
  assert.throws(() => doubled(tensor([1, 2, 3, 4, 5])), {
    name: "DeviceError",
    message:
      "Cannot run doubledVectors: x has 5 elements (expected a multiple of 4, as its kernel takes vectors)",
  });
});
