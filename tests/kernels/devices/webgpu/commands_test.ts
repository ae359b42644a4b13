import assert from "node:assert/strict";
import { CommandQueue, type Dispatch } from "../../../../kernels/devices/webgpu/commands.ts";
import { WebGpuDevice } from "../../../../kernels/devices/webgpu/webgpu_device.ts";
import { withGpu } from "./emulator/emulator.ts";

Deno.test("CommandQueue.dispatch() submits as much as takes a quarter of a second", () => {
  let [now, submits] = [0, 0];
  const { now: realNow } = performance;
  const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} };
  const encoder = { beginComputePass: () => pass, finish() {} };
  const device = {
    ...{ createBuffer: () => ({}), createCommandEncoder: () => encoder },
    queue: { submit: () => submits++ },
  };
  const queue = new CommandQueue(device as unknown as GPUDevice);
  /** Number of submits for dispatches that take a total time in milliseconds. */
  const submitted = (count: number, ms: number) => {
    submits = 0;
    for (let i = 0; i < count; i++) queue.dispatch({ pipeline: {}, bindGroup: {}, x: 1, y: 1 } as Dispatch);
    queue.submit();
    now += ms;
    queue.waited();
    return submits;
  };
  performance.now = () => now;
  try {
    assert.equal(submitted(1000, 1000), 8, "128 at first");
    assert.equal(submitted(1000, 10), 4, "250 of one millisecond");
    assert.equal(submitted(4096, 40_960), 4, "1024 of 10 microseconds");
    assert.equal(submitted(75, 7500), 3, "25 of 10 milliseconds");
    assert.equal(submitted(64, 1), 4, "at least 16");
  } finally {
    performance.now = realNow;
    queue.close();
  }
});

Deno.test("WebGpuDevice.open() says that other programs hold the memory of a card", async () => {
  const full = () => Promise.reject(new TypeError("Not enough memory left."));
  const adapter = { limits: {}, features: new Set(), info: { description: "A card" }, requestDevice: full };
  const gpu = { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU;
  await assert.rejects(withGpu(gpu, () => WebGpuDevice.open()), {
    name: "DeviceError",
    message: /^The WebGPU adapter A card offers no device: .*; other programs hold its memory/,
  });
});
