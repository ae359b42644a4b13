import assert from "node:assert/strict";
import type { KernelCall } from "../../../../kernels/devices/device.ts";
import { BufferPool } from "../../../../kernels/devices/webgpu/workspace.ts";
import { Choices } from "../../../../kernels/devices/webgpu/choices.ts";
import { CommandQueue, Dispatches } from "../../../../kernels/devices/webgpu/commands.ts";
import { Outcomes } from "../../../../kernels/devices/failed_values.ts";
import { PipelineCache } from "../../../../kernels/devices/webgpu/pipelines.ts";
import { readBack } from "../../../../kernels/devices/webgpu/read_back.ts";
import { affine } from "../../../../kernels/ops/elementwise/affine.ts";
import { testTuning } from "./tuning.ts";

testTuning("Dispatches.of() keeps few uniforms, however many numbers calls are given", async () => {
  const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
  const choices = new Choices({ workgroupSize: 64, software: true, pieces: 1 });
  const pipelines = new PipelineCache(device, choices, new Outcomes());
  const dispatches = new Dispatches(device, pipelines, 8);
  const pool = new BufferPool(device);
  const [x, y] = [pool.take(4), pool.take(4)];
  const ranges = [x, y].map((buffer) => ({ buffer, offset: 0, length: 1 }));
  const call = (shift: number): KernelCall => ({
    kernel: affine.kernel,
    ranges,
    dims: { S: 1, scale: 1, shift },
  });
  const { uniforms } = pipelines.of(call(0));
  const first = dispatches.of(call(7));
  assert.equal(dispatches.of(call(7)), first);
  for (let shift = 0; shift < 100; shift++) {
    const made = dispatches.of(call(shift));
    assert.equal(dispatches.of(call(shift)), made, "the next call on the same memory");
    assert.ok(uniforms.size <= 8, `${uniforms.size} uniforms`);
  }
  const queue = new CommandQueue(device);
  queue.write(x.handle, 0, Float32Array.of(35));
  queue.dispatch(first); // as a recorded step does, which holds it
  const bytes = await readBack(device, 4, (to) => {
    queue.copy(y.handle, 0, to, 0, 4);
    queue.submit();
  });
  assert.deepEqual(new Float32Array(bytes), Float32Array.of(42));
  device.destroy();
});
