import assert from "node:assert/strict";
import "node:worker_threads"; // with it, messages arrive within the task in Deno
import { turn } from "../../../kernels/devices/turn.ts";
import { add, init, tensor, withDevice } from "../../../kernels/mod.ts";
import { testOnDevices } from "../../testing.ts";

Deno.test("turn() ends the task", async () => {
  let ended = false;
  const next = turn().then(() => ended = true);
  for (let i = 0; i < 1000; i++) await undefined;
  assert.equal(ended, false);
  await next;
});

testOnDevices("read() hears of an error of the device before it gives values", async ({ kind }) => {
  if (kind !== "webgpu") return;
  const { createBuffer } = GPUDevice.prototype;
  let own: GPUDevice | undefined;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    own = this;
    return createBuffer.call(this, descriptor);
  };
  const device = await init({ device: kind });
  GPUDevice.prototype.createBuffer = createBuffer;
  await withDevice(device, async () => {
    const y = add(tensor([1]), 1);
    assert.deepEqual(await y.read(), Float32Array.of(2));
    own!.createBuffer({ size: 64, usage: 0xffffff }); // no such usage
    await assert.rejects(y.read(), /^DeviceError: WebGPU reports: Invalid usage/);
  });
  device.close();
});
