import assert from "node:assert/strict";
import { readBack } from "../../../../kernels/devices/webgpu/health.ts";
import { yieldToEvents } from "../../../../kernels/devices/device.ts";
import { add, init, tensor, withDevice } from "../../../../kernels/mod.ts";
import { testOnWebGpu } from "./tuning.ts";

const never = () => new Promise<never>(() => {});

/** A device with one buffer, which holds what is copied to it and is readable immediately or after `mapAsync`. */
function deviceOf(mapAsync: () => Promise<void>, readable: () => boolean) {
  const events: string[] = [];
  const bytes = new Uint8Array(8);
  const buffer = {
    mapAsync,
    getMappedRange() {
      if (!readable()) throw new DOMException("Not mapped", "OperationError");
      return bytes.buffer;
    },
    unmap: () => events.push("unmap"),
    destroy: () => events.push("destroy"),
  };
  const device = {
    createBuffer({ size, mappedAtCreation }: GPUBufferDescriptor) {
      events.push(`${size} bytes${mappedAtCreation ? ", mapped" : ""}`);
      return buffer;
    },
  };
  const read = (size = 8, nudges?: boolean) =>
    readBack(
      device as unknown as GPUDevice,
      size,
      () => {
        bytes[0] = 7;
        events.push("copy");
      },
      nudges,
    );
  return { device, read, events };
}

Deno.test("readBack() waits for the promise only if bytes are not available yet, and frees its buffer", async () => {
  const available = deviceOf(never, () => true);
  assert.deepEqual([...new Uint8Array(await available.read())], [7, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(available.events, ["8 bytes, mapped", "unmap", "copy", "destroy"]);

  let mapped = false;
  const map = () => new Promise<void>((resolve) => setTimeout(() => resolve(void (mapped = true)), 5));
  const late = deviceOf(map, () => mapped);
  assert.equal(new Uint8Array(await late.read())[0], 7);
  assert.equal(late.events.at(-1), "destroy");

  const large = deviceOf(() => Promise.resolve(), () => true); // without zeroing it first
  await large.read(1 << 23);
  assert.deepEqual(large.events, ["8388608 bytes", "copy", "destroy"]);

  const lost = deviceOf(() => Promise.reject(new Error("lost")), () => false);
  await assert.rejects(lost.read(), { message: "lost" });
  assert.equal(lost.events.at(-1), "destroy");
});

Deno.test("readBack() submits empty work until the promise settles, in Firefox alone", async () => {
  for (const nudges of [true, false]) {
    const mapped = Promise.withResolvers<void>();
    let submits = 0, isMapped = false;
    const { device, read } = deviceOf(() => mapped.promise, () => isMapped);
    Object.assign(device, {
      createCommandEncoder: () => ({ finish: () => "nothing" }),
      queue: {
        submit([work]: string[]) {
          assert.equal(work, "nothing");
          if (++submits === 3) mapped.resolve(void (isMapped = true));
        },
      },
    });
    const values = read(8, nudges);
    if (!nudges) setTimeout(() => mapped.resolve(void (isMapped = true)), 20);
    assert.equal(new Uint8Array(await values)[0], 7);
    assert.equal(submits, nudges ? 3 : 0);
  }
});

testOnWebGpu("readBack() on this machine needs no promise", async () => {
  const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
  const { COPY_SRC, COPY_DST } = GPUBufferUsage;
  const from = device.createBuffer({ size: 8, usage: COPY_SRC | COPY_DST });
  device.queue.writeBuffer(from, 0, new Uint32Array([3, 5]));
  const promises: Promise<unknown>[] = [];
  const values = await readBack(device, 8, (to) => {
    const map = to.mapAsync.bind(to);
    to.mapAsync = (...given) => {
      promises.push(map(...given));
      return never();
    };
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, 0, 8);
    device.queue.submit([encoder.finish()]);
  });
  assert.deepEqual([...new Uint32Array(values)], [3, 5]);
  await Promise.all(promises);
  device.destroy();
});

import "node:worker_threads"; // in Deno, this makes messages arrive within the task

Deno.test("yieldToEvents() ends the task", async () => {
  let ended = false;
  const next = yieldToEvents("task").then(() => ended = true);
  for (let i = 0; i < 1000; i++) await undefined;
  assert.equal(ended, false);
  await next;
});

testOnWebGpu("read() reports a device error instead of values", async ({ kind }) => {
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
