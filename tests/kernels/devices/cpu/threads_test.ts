/** State that threads of the CPU device share, and state that they do not. */

import assert from "node:assert/strict";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import {
  add,
  conv2d,
  full,
  gelu,
  multiply,
  randomNormal,
  record,
  sum,
  type Tensor,
  withDevice,
} from "../../../../kernels/mod.ts";
import { createModel } from "../../../../models/mod.ts";
import { key, trainingStep } from "./training_step.ts";

/** Defines a test that starts workers, which end a moment after close(). */
const testThreads = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });

/** Losses and weights after some steps large enough for worker threads. */
async function train(device: CpuDevice, steps: number): Promise<{ losses: number[]; weights: Float32Array }> {
  return await withDevice(device, async () => {
    const model = createModel({ type: "UNet_FM_Residuals", filters: [8, 16], tEmb: 8 }, 1);
    const { work, before, weights } = trainingStep(model, [16, 1, 20, 20]);
    const step = record(work);
    const losses: number[] = [];
    for (let i = 0; i < steps; i++) {
      before();
      step.run();
      losses.push((await step.result.read())[0]);
      await new Promise((resolve) => setTimeout(resolve, i < 4 ? 50 : 0)); // workers start during the first steps
    }
    return { losses, weights: await weights() };
  });
}

testThreads("CpuDevice computes the same bits with 1, 2 and 8 threads", async () => {
  const results = [];
  for (const threads of [1, 2, 8]) {
    const device = await CpuDevice.open({ threads });
    results.push(await train(device, 8));
    device.close();
  }
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
  assert.ok(results[0].losses[7] < results[0].losses[0]);
});

testThreads(
  "CpuDevice runs large ops on all threads and small ones on one, with the same results",
  async () => {
    const results: Float32Array[][] = [];
    const started: number[] = [];
    const { Worker } = globalThis;
    for (const threads of [1, 2, 5]) {
      let workers = 0;
      globalThis.Worker = class extends Worker {
        constructor(...given: ConstructorParameters<typeof Worker>) {
          super(...given);
          workers++;
        }
      };
      try {
        const device = await CpuDevice.open({ threads });
        results.push(
          await withDevice(device, async () => {
            const w = randomNormal(key(1), [8, 8, 3, 3]), bias = full([8], 0);
            const convolve = (x: Tensor) => conv2d(x, w, bias, { padding: 1 });
            const small = randomNormal(key(2), [1, 8, 9, 9]), large = randomNormal(key(3), [8, 8, 28, 28]);
            const alone = record(() => convolve(convolve(small)));
            for (let i = 0; i < 20; i++) alone.run();
            assert.equal(workers, 0, "no op is large enough for a second thread");
            const mixed = record(() => {
              const a = convolve(small), b = convolve(convolve(a));
              const c = gelu(convolve(large)), d = sum(multiply(c, convolve(c)));
              return [add(b, d), add(convolve(convolve(b)), d), gelu(c), convolve(small)];
            });
            for (let i = 0; i < 100; i++) mixed.run();
            // Now that workers exist, mix programs of small ops with others.
            for (let i = 0; i < 100; i++) {
              mixed.run();
              alone.run();
            }
            return await Promise.all([alone.result, ...mixed.result].map((y) => y.read()));
          }),
        );
        device.close();
      } finally {
        globalThis.Worker = Worker;
      }
      started.push(workers);
    }
    assert.deepEqual(started, [0, 1, 4]);
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  },
);

testThreads("CpuDevice's threads can access memory that has just grown", async () => {
  const device = await CpuDevice.open({ threads: 3 });
  await withDevice(device, async () => {
    const w = full([16, 16, 3, 3], 0.1), bias = full([16], 0);
    const kept: unknown[] = []; // prevents reuse
    for (let i = 0; i < 150; i++) {
      const x = full([4, 16, 28, 28], 1);
      const step = record(() => conv2d(x, w, bias, { padding: 1 }));
      kept.push(x, step);
      for (let k = 0; k <= i % 3; k++) step.run();
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, i % 4)); // workers spin, or sleep
    }
    assert.ok(device.allocatedBytes > 50e6 && kept.length === 300);
  });
  device.close();
});

testThreads("CpuDevice.rest() is safe between any two steps", async () => {
  const device = await CpuDevice.open({ threads: 3 });
  await withDevice(device, async () => {
    const x = full([4, 16, 28, 28], 1), w = full([16, 16, 3, 3], 0.1), bias = full([16], 0);
    const step = record(() => conv2d(x, w, bias, { padding: 1 }));
    for (let i = 0; i < 150; i++) {
      step.run();
      if (i % 3 === 0) device.rest();
      if (i % 7 === 0) await new Promise((resolve) => setTimeout(resolve, i % 5 * 8));
    }
    const values = await step.result.read();
    assert.equal(values[29].toFixed(3), "14.400");
  });
  device.close();
});
